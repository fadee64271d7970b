/** The published instances, where the shared data are. */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { sharedDataFolder } from '../forecast/sets.ts';

export interface InstanceFiles {
  readonly name: string;
  readonly model: string;
  readonly assignment: string;
}

/** Instances of sets A and X whose model and assignment are both there. */
export function publishedInstances(): InstanceFiles[] {
  const root = sharedDataFolder();
  if (root === undefined) return [];
  return ['A', 'X'].flatMap((set) => {
    const folder = join(root, 'roadef2012', set);
    if (!existsSync(folder)) return [];
    return readdirSync(folder)
      .filter((file) => /^model_.*\.txt$/.test(file))
      .map((file) => ({
        name: file.slice('model_'.length, -'.txt'.length),
        model: join(folder, file),
        assignment: join(folder, file.replace('model', 'assignment')),
      }))
      .filter(({ assignment }) => existsSync(assignment))
      .sort((a, b) => (a.name < b.name ? -1 : 1));
  });
}

/**
 * What is known to be reachable: optimal for a1_1, a1_3 and a1_5, else the winner of the challenge after 300 s on two cores.
 */
export const REACHED: Readonly<Record<string, number>> = {
  a1_1: 44_306_501,
  a1_2: 777_531_842,
  a1_3: 583_005_719,
  a1_4: 262_086_758,
  a1_5: 727_578_311,
  a2_4: 1_680_615_349,
  a2_5: 318_358_949,
};
