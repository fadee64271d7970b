import { createHash } from 'node:crypto';
import type { AffinitySettings } from '../../../src/affinity/settings.ts';
import type { PlanningInput } from '../../../src/controller.ts';

/** SHA-256 of everything that a plan is made from besides the seed, 16 hex digits: same hash, same seed, same kernels, same plan. */
export function inputsHash(
  inputs: PlanningInput,
  settings: { readonly affinity: AffinitySettings; readonly copiesPerNodeMax: number },
): string {
  const hash = createHash('sha256');
  const { forecast, map, nodes, partitionBytes, restingPartitions, openMigrations, memory } = inputs;
  const { startMs, stepMs, horizonSteps, level } = forecast;
  const plain = {
    settings,
    forecast: { startMs, stepMs, horizonSteps, level },
    nodes: nodes.map((node) => ({
      ...node,
      capacity: [...node.capacity].map(String),
      background: [...node.background],
    })),
    restingPartitions: [...restingPartitions].sort((a, b) => a - b),
    openMigrations: [...openMigrations].sort(([a], [b]) => a - b),
    memory,
  };
  hash.update(JSON.stringify(plain));
  for (const values of [
    forecast.mean,
    forecast.point,
    forecast.upper,
    partitionBytes,
    map.ownerOf,
    map.epochOf,
  ])
    hash.update(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
  return hash.digest('hex').slice(0, 16);
}
