import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ForeshardError } from '../../../src/base/errors.ts';
import type { Settings } from '../../../src/settings.ts';
import { decodeKeptPlan, type KeptPlan } from '../../host/plans/kept-plan.ts';
import { keptPlans, plansFoldersAmong } from '../../host/plans/plan-archive.ts';
import { printJson, printLine } from '../output.ts';
import { asTime, counted } from '../units-text.ts';
import { type ReplayedPlan, replayPlan } from './replay-plan.ts';

/** `foreshard replay [FILE]`. @returns whether the plan came out the same. */
export async function replayCommand(
  file: string | undefined,
  settings: Settings,
  { isJson }: { readonly isJson: boolean },
): Promise<boolean> {
  const path = file ?? (await newestPlan(settings));
  const kept = await decodeKeptPlan(path, await readPlanFile(path));
  const replayed = await replayPlan(kept);
  if (isJson) {
    const { atMs, clusterName, seed, inputsHash, kernelHash, endedAfter } = kept;
    const made = { atMs, clusterName, seed, endedAfter, inputsHash, kernelHash };
    const { kernelHash: kernelHashHere, ...found } = replayed;
    printJson({ file: path, ...made, kernelHashHere, ...found });
  } else for (const line of lines(path, kept, replayed)) printLine(line);
  return replayed.isSame;
}

async function readPlanFile(path: string): Promise<Uint8Array> {
  try {
    return await readFile(path);
  } catch (cause) {
    throw new ForeshardError(
      'FORESHARD_CONFIG',
      'fix-config',
      `${path} cannot be read: ${(cause as Error).message}`,
      { cause },
    );
  }
}

/** Of all processes of the cluster that keep plans on this machine. */
async function newestPlan({ analyzer, cluster }: Settings): Promise<string> {
  const folders = await readdir(analyzer.stateDir).catch(() => [] as string[]);
  const newest: string[] = [];
  for (const name of plansFoldersAmong(folders, cluster.name))
    newest.push(...(await keptPlans(join(analyzer.stateDir, name))).slice(0, 1));
  // By the time in the name, whoever made it.
  const nameOf = (path: string): string => path.split('/').at(-1) as string;
  const [path] = newest.sort((a, b) => (nameOf(a) < nameOf(b) ? 1 : -1));
  if (path !== undefined) return path;
  throw new ForeshardError(
    'FORESHARD_NOT_READY',
    'wait',
    `no plan of cluster ${cluster.name} is kept under ${analyzer.stateDir}: a coordinator keeps them in modes propose and auto, ` +
      'on its own machine, unless controller.plansKept is 0; name a file to replay another',
  );
}

function lines(path: string, kept: KeptPlan, replayed: ReplayedPlan): string[] {
  const { isSame, moveCount, bytes, differences, areInputsWhole } = replayed;
  const of = `${path}: plan of ${asTime(kept.atMs)}, ${counted(moveCount, 'move')}, inputs ${kept.inputsHash}, seed ${kept.seed}`;
  if (isSame) return [of, `made again: the same, byte for byte (${bytes} bytes)`];
  const found = [of, `made again: another plan; these differ: ${differences.join(', ')}`];
  if (!areInputsWhole) found.push('its inputs are not those that its hash was taken of');
  if (replayed.kernelHash !== kept.kernelHash)
    found.push(
      `it was made with the kernels ${kept.kernelHash}, and these are ${replayed.kernelHash}: replay it with the version that made it`,
    );
  return found;
}
