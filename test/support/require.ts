/** What a suite may need from outside; `FORESHARD_REQUIRE=redis,tmpfs` makes a missing one a failure instead of a skip. */
export type Requirement =
  | 'redis'
  | 'valkey'
  | 'tmpfs'
  | 'etcd'
  | 'gcc'
  | 'netns'
  | 'chromium'
  | 'shared-data';

/**
 * Says aloud that a suite is skipped.
 *
 * @returns isAvailable, so that a suite reads `if (!requireOrSkip(…)) …`.
 * @throws Error when the environment says that it must be there.
 */
export function requireOrSkip(name: Requirement, isAvailable: boolean): boolean {
  if (isAvailable) return true;
  assertNotRequired(name);
  console.log(`SKIP ${name}: not available here`);
  return false;
}

/** @throws Error when the environment says that what is missing must be there. */
export function assertNotRequired(name: Requirement): void {
  const isRequired = (process.env.FORESHARD_REQUIRE ?? '').split(',').includes(name);
  if (isRequired) throw new Error(`${name} is required by FORESHARD_REQUIRE, but it is not available here`);
}
