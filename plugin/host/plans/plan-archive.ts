import { readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Logger } from '../../../src/base/logger.ts';
import { makeFolder } from '../../make-folder.ts';
import { encodeKeptPlan, type KeptPlan } from './kept-plan.ts';

const SUFFIX = '.plan';
/** Of a file that is being written. */
const DRAFT_SUFFIX = '.plan.new';

/** Where the process of a name keeps its plans: beside the checkpoint of its forecast. */
export const plansFolder = (stateDir: string, clusterName: string, processName: string): string =>
  join(stateDir, `${clusterName}-${processName}.plans`);

/** Names in `stateDir` of the folders of all processes of a cluster; of `main`, and not of another one named `main-2`. */
export const plansFoldersAmong = (names: readonly string[], clusterName: string): string[] =>
  names.filter(
    (name) => /^-[^-]+\.plans$/.test(name.slice(clusterName.length)) && name.startsWith(clusterName),
  );

/**
 * The last plans of this process with all that they were made from, one file each. What cannot be kept is told and does no harm:
 * nobody waits for it.
 */
export class PlanArchive {
  readonly #folder: string;
  readonly #limits: { readonly countMax: number; readonly bytesMax: number };
  readonly #logger: Logger;

  /** @param limits.bytesMax of all files together, and of one plan before it is packed. */
  constructor(
    folder: string,
    limits: { readonly countMax: number; readonly bytesMax: number },
    logger: Logger,
  ) {
    this.#folder = folder;
    this.#limits = limits;
    this.#logger = logger;
  }

  async keep(kept: KeptPlan): Promise<void> {
    const { countMax, bytesMax } = this.#limits;
    if (countMax === 0) return this.#pruneOrTell();
    const unpackedBytes = bytesOf(kept);
    if (unpackedBytes > bytesMax) {
      this.#logger.info(
        { unpackedBytes, bytesMax },
        'a plan is not kept for replays: its inputs are too large',
      );
      return;
    }
    try {
      makeFolder(this.#folder);
      const name = nameOf(kept);
      const draft = join(this.#folder, `${name}${DRAFT_SUFFIX}`);
      await writeFile(draft, await encodeKeptPlan(kept), { mode: 0o600 });
      await rename(draft, join(this.#folder, `${name}${SUFFIX}`));
    } catch (error) {
      this.#logger.warn({ fault: (error as Error).message }, 'a plan is not kept for replays');
    }
    await this.#pruneOrTell();
  }

  async #pruneOrTell(): Promise<void> {
    try {
      await this.#prune();
    } catch (error) {
      this.#logger.warn({ fault: (error as Error).message }, 'old plans kept for replays are not deleted');
    }
  }

  /**
   * The newest first; names begin with the time. What was not written to its end, as the disk was full or the process was stopped, is in
   * nobody's count and goes.
   */
  async #prune(): Promise<void> {
    for (const path of await filesIn(this.#folder, DRAFT_SUFFIX)) await rm(path, { force: true });
    let bytes = 0;
    for (const [index, path] of (await keptPlans(this.#folder)).entries()) {
      bytes += (await stat(path)).size;
      if (index >= this.#limits.countMax || bytes > this.#limits.bytesMax) await rm(path, { force: true });
    }
  }
}

/** Paths of the plans in a folder, the newest first; none where there is no such folder. */
export const keptPlans = async (folder: string): Promise<string[]> =>
  (await filesIn(folder, SUFFIX)).sort().reverse();

async function filesIn(folder: string, suffix: string): Promise<string[]> {
  let names: string[];
  try {
    names = await readdir(folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
  return names.filter((name) => name.endsWith(suffix)).map((name) => join(folder, name));
}

/** Without colons, which not every file system takes, and without the suffix. */
const nameOf = ({ atMs, inputsHash }: KeptPlan): string =>
  `${new Date(atMs).toISOString().replaceAll(':', '-')}-${inputsHash}`;

/** Of what grows with the cluster. */
function bytesOf({ inputs: { forecast, partitionBytes, map }, plan }: KeptPlan): number {
  const { point, mean, lower, upper, skill } = forecast;
  // A forecaster without means of its own gives the same numbers twice.
  const arrays = new Set<Uint8Array | Float64Array | Int32Array | Uint32Array>([
    ...[point, mean, lower, upper, skill],
    ...[partitionBytes, map.ownerOf, map.epochOf, plan],
  ]);
  let sum = 0;
  for (const { byteLength } of arrays) sum += byteLength;
  return sum;
}
