import { withBreachPrice } from '../../../src/affinity/breach-price.ts';
import { BANDWIDTH_DEFAULT, limitsOf, type PlacementInstance } from '../../../src/affinity/instance.ts';
import { buildLoads } from '../../../src/affinity/loads.ts';
import { withPrices } from '../../../src/affinity/move-price.ts';
import { roomIn } from '../../../src/affinity/room.ts';
import { neutralRules } from '../../../src/affinity/rules/rules.ts';
import type { AffinitySettings } from '../../../src/affinity/settings.ts';
import { ForeshardError } from '../../../src/base/errors.ts';
import { instanceLoads } from './instance-loads.ts';
import { InstanceNames } from './instance-names.ts';
import { instanceRules, lookAtWindows, namedRules } from './instance-rules.ts';
import type { PlanInstanceFile } from './instance-schema.ts';
import { mistakeIn } from './read-instance.ts';

/** An instance file in the planner's numbers, and the names to give them back by. */
export interface NamedInstance {
  readonly instance: PlacementInstance;
  readonly units: readonly (readonly number[])[];
  readonly resources: readonly string[];
  readonly partitionIds: readonly string[];
  readonly nodeIds: readonly string[];
  readonly slotSeconds: number;
  /** Wall clock of slot 0, milliseconds; null where the file names none. */
  readonly startMs: number | null;
  /** Copies out of a node, and as many into it, at one time. */
  readonly copiesPerNodeMax: number;
  /** Times of the week in which moves may run; none: any time. */
  readonly windows: readonly string[];
  /** What is legal and yet looks like a mistake, in words. */
  readonly notes: readonly string[];
}

/**
 * Turns a file into a placement problem with the file's own resources.
 *
 * @throws ForeshardError FORESHARD_CONFIG for unknown or duplicate names, lists of unequal length, numbers that cannot be
 *   and rules that cannot all hold; each names the file.
 */
export function makeInstance(
  file: string,
  content: PlanInstanceFile,
  settings: AffinitySettings,
): NamedInstance {
  try {
    return make(new InstanceNames(file, content), content, settings);
  } catch (error) {
    // Loads and rules are refused by the planner as well, which does not know where they were read.
    if (!(error instanceof ForeshardError) || error.message.startsWith(mistakeIn(file, '').message))
      throw error;
    throw mistakeIn(file, error.message);
  }
}

function make(names: InstanceNames, content: PlanInstanceFile, settings: AffinitySettings): NamedInstance {
  const { nodes, partitions, rules = {}, slotSeconds, startTime } = content;
  const home = Int32Array.from(partitions, ({ node }, p) => names.node(node, `partitions[${p}].node`));
  lookAtWindows(content, names);
  const ruleSet = namedRules(content, names);
  const { table, isTransient, notes } = instanceLoads(content, names, home);
  const loads = buildLoads(table, settings);
  const shape = { partitionCount: partitions.length, nodeCount: nodes.length, ...loads };
  const isDraining = nodes.map((node) => (node.isDraining === true ? 1 : 0));
  const bare = {
    ...neutralRules(shape),
    ...shape,
    ...limitsOf(settings),
    movesMax: rules.movesMax ?? partitions.length,
    nodeMovesMax: rules.nodeMovesMax ?? partitions.length,
    bytesMovedMax: rules.bytesMovedMax ?? Number.POSITIVE_INFINITY,
    home,
    isMovable: new Uint8Array(partitions.length).fill(1),
    isTarget: Uint8Array.from(isDraining, (own) => 1 - own),
    holdPenalty: Float64Array.from(isDraining),
    bytes: Float64Array.from(partitions, ({ sizeBytes }) => sizeBytes),
    bytesFree: Float64Array.from(nodes, ({ freeBytes }) => freeBytes ?? Number.POSITIVE_INFINITY),
    isTransient,
    bandwidth: Float64Array.from(
      nodes,
      (node) => node.bandwidthBytesPerSecond ?? content.bandwidthBytesPerSecond ?? BANDWIDTH_DEFAULT,
    ),
    dirtyRate: Float64Array.from(partitions, ({ dirtyBytesPerSecond }) => dirtyBytesPerSecond ?? 0),
  };
  const priced = (instance: typeof bare): PlacementInstance =>
    withPrices(instance, settings, (loads.slotCount * slotSeconds) / 3600);
  const { units, isPinned, ...compiled } = instanceRules(content, ruleSet, {
    ...bare,
    hasRoom: roomIn(() => priced(bare)),
  });
  const isMovable = isPinned.map((pinned) => 1 - pinned);
  return {
    instance: withBreachPrice(priced({ ...bare, ...compiled, isMovable }), settings.benefitCostRatio),
    units,
    resources: table.resources.map(({ name }) => name),
    partitionIds: partitions.map(({ id }) => id),
    nodeIds: nodes.map(({ id }) => id),
    slotSeconds,
    startMs: startTime === undefined ? null : Date.parse(startTime),
    copiesPerNodeMax: rules.copiesPerNodeMax ?? 1,
    windows: rules.windows ?? [],
    notes,
  };
}
