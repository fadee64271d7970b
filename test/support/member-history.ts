import { History } from '../../src/analyzer/history.ts';
import type { Member, MemberComponents } from '../../src/analyzer/members/member.ts';
import { silentLogger } from '../../src/base/logger.ts';
import { seededRandom } from '../../src/base/random.ts';
import type { KernelBuild } from '../../src/kernels/bytes.ts';
import { loadKernels } from '../../src/kernels/instance.ts';
import { inlineRunner } from '../../src/kernels/pool.ts';
import { HOUR_MS, profileOf } from './synthetic-load.ts';

export type Load = (partition: number, window: number) => number;

/** What a member of the forecast works with, over a history of the given loads. */
export function memberComponents(options: {
  readonly partitionCount: number;
  readonly windowCount: number;
  readonly horizon: number;
  readonly load: Load;
  readonly build?: KernelBuild;
  /** Windows of a day, 24 by default; a week has seven of these. */
  readonly dayWindows?: number;
  /** Windows that are kept for certain, as many as there are by default. */
  readonly windowsMax?: number;
  readonly isOutage?: (window: number) => boolean;
}): MemberComponents & { append(windowCount: number): void } {
  const { partitionCount, windowCount, horizon, load, build, dayWindows = 24, isOutage } = options;
  const kernels = loadKernels(build === undefined ? {} : { build });
  const windowMs = (24 / dayWindows) * HOUR_MS;
  const shape = { partitionCount, windowMs, startMs: 0, dayWindows, weekWindows: 7 * dayWindows };
  const history = new History(
    { ...shape, driver: 'queries', windowsMax: options.windowsMax ?? Math.max(1680, windowCount) },
    kernels.arena,
  );
  const append = (count: number): void => {
    const firstWindow = history.dropped + history.length;
    const profile = profileOf({ partitionCount, firstWindow, windowCount: count, load });
    for (let index = 0; index < count; index++)
      if (isOutage?.(firstWindow + index)) history.appendOutage();
      else history.append(profile, index);
  };
  append(windowCount);
  return {
    history,
    runner: inlineRunner(kernels),
    random: seededRandom(1n),
    logger: silentLogger,
    horizon,
    append,
  };
}

/** Predictions of all partitions, log loads [partition][step]. */
export async function predictAll(member: Member, components: MemberComponents): Promise<number[][]> {
  const { history, runner, horizon } = components;
  const count = history.shape.partitionCount;
  const out = runner.kernels.arena.f64(count * horizon);
  // What was there before must not show through.
  out.view.fill(Number.NaN);
  await member.predict({ first: 0, count }, out.pointer);
  const rows = Array.from({ length: count }, (_, p) => [
    ...out.view.subarray(p * horizon, (p + 1) * horizon),
  ]);
  runner.kernels.arena.free(out);
  return rows;
}
