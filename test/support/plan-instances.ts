import fc from 'fast-check';
import { type Random, seededRandom } from '../../src/base/random.ts';
import type { OracleFile } from '../oracles/placement.ts';

/** Instance files, with rules and without. */
export const instanceFiles = fc
  .record({
    seed: fc.bigInt({ min: 0n, max: 2n ** 60n }),
    partitionCount: fc.integer({ min: 1, max: 14 }),
    nodeCount: fc.integer({ min: 1, max: 6 }),
    slotCount: fc.integer({ min: 1, max: 3 }),
    fill: fc.double({ min: 0.2, max: 1.1, noNaN: true }),
    hasRules: fc.boolean(),
  })
  .map(randomFile);

/** Files of nodes that are just full, each in slots of its own: most better maps are reached by exchanges alone. */
export const fullAtTimesFiles = fc
  .record({
    nodeCount: fc.integer({ min: 2, max: 4 }),
    each: fc.integer({ min: 2, max: 3 }),
    slotsEach: fc.integer({ min: 1, max: 3 }),
    seed: fc.bigInt({ min: 0n, max: 2n ** 60n }),
  })
  .map(({ nodeCount, each, slotsEach, seed }): OracleFile => {
    const random = seededRandom(seed);
    const partitions = Array.from({ length: nodeCount * each }, (_, p) => {
      const node = Math.floor(p / each);
      const idle = 0.005 + 0.02 * random.nextFloat();
      const cpu = Array.from({ length: nodeCount * slotsEach }, (_, t) =>
        Math.floor(t / slotsEach) === node ? 0.9 / each : idle,
      );
      const load = { cpu };
      return { id: `p${p}`, node: `n${node}`, sizeBytes: 1e11 * random.nextFloat(), load, upper: load };
    });
    const nodes = Array.from({ length: nodeCount }, (_, n) => {
      return { id: `n${n}`, capacity: { cpu: 0.96 + 0.01 * random.nextFloat() } };
    });
    return { slotSeconds: 3600, bandwidthBytesPerSecond: 1e8, nodes, partitions, rules: {} };
  });

/** The same of unequal partitions, with a hundredth of room and less: many a map that is better is just above a capacity. */
export function barelyFullFile(seed: bigint): OracleFile {
  const random = seededRandom(seed).fork('cli');
  const nodeCount = 2 + random.nextBelow(3);
  const slotsEach = 1 + random.nextBelow(3);
  const each = 2 + random.nextBelow(3);
  const slotCount = nodeCount * slotsEach;
  const partitions = Array.from({ length: nodeCount * each }, (_, p) => {
    const node = Math.floor(p / each);
    const busy = ((0.5 + random.nextFloat()) * 0.9) / each;
    const idle = busy * (0.01 + 0.1 * random.nextFloat());
    const cpu = Array.from(
      { length: slotCount },
      (_, t) => +(Math.floor(t / slotsEach) === node ? busy : idle).toFixed(4),
    );
    const sizeBytes = Math.round(1e12 * random.nextFloat());
    return { id: `p${p}`, node: `n${node}`, sizeBytes, load: { cpu }, upper: { cpu } };
  });
  const nodes = Array.from({ length: nodeCount }, (_, n) => {
    const held = partitions.filter(({ node }) => node === `n${n}`);
    const loads = Array.from({ length: slotCount }, (_, t) =>
      held.reduce((sum, { load }) => sum + (load.cpu[t] as number), 0),
    );
    const room = 1.001 + 0.01 * random.nextFloat();
    return { id: `n${n}`, capacity: { cpu: +(Math.max(...loads) * room).toFixed(4) } };
  });
  return { slotSeconds: 3600, bandwidthBytesPerSecond: 1e8, nodes, partitions, rules: {} };
}

interface Shape {
  readonly seed: bigint;
  readonly partitionCount: number;
  readonly nodeCount: number;
  readonly slotCount: number;
  readonly fill: number;
  readonly hasRules: boolean;
}

/** Of any kind: nodes above their capacity, rules in breach from the start, disks nearly full. */
function randomFile(shape: Shape): OracleFile {
  const { partitionCount, nodeCount, slotCount, fill, hasRules } = shape;
  const random = seededRandom(shape.seed);
  const chance = (share: number): boolean => random.nextFloat() < share;
  const slots = (scale: number): number[] =>
    Array.from({ length: slotCount }, () => scale * (0.5 + random.nextFloat()));
  const nodes = Array.from({ length: nodeCount }, (_, n) => ({
    id: `n${n}`,
    zone: `z${n % 3}`,
    capacity: { cpu: 1 + random.nextBelow(3), memory: 4 + random.nextBelow(4), io: 1 + random.nextFloat() },
    background: chance(0.5) ? { cpu: 0.2 * random.nextFloat() } : {},
    ...(hasRules && chance(0.3) ? { freeBytes: 3e9 * random.nextFloat() } : {}),
    ...(hasRules && n > 0 && chance(0.1) ? { isDraining: true } : {}),
  }));
  const scale = (fill * 2 * nodeCount) / partitionCount;
  const partitions = Array.from({ length: partitionCount }, (_, p) => {
    const load = { cpu: slots(scale), memory: slots(2 * scale), io: slots(0.5 * scale) };
    const above = (values: readonly number[]): number[] =>
      values.map((value) => value * (1 + 0.3 * random.nextFloat()));
    return {
      id: `p${p}`,
      node: `n${random.nextBelow(nodeCount)}`,
      sizeBytes: 1e9 * (0.2 + random.nextFloat()),
      load,
      upper: { cpu: above(load.cpu), memory: above(load.memory), io: above(load.io) },
      ...(chance(0.2) ? { dirtyBytesPerSecond: 12e7 * random.nextFloat() } : {}),
    };
  });
  return {
    slotSeconds: 6 * 3600,
    bandwidthBytesPerSecond: 1e8,
    nodes,
    partitions,
    rules: hasRules ? randomRules(random, partitions, nodes) : {},
  };
}

function randomRules(
  random: Random,
  partitions: OracleFile['partitions'],
  nodes: OracleFile['nodes'],
): OracleFile['rules'] {
  const some = <Item extends { readonly id: string }>(list: readonly Item[], count: number): string[] => [
    ...new Set(Array.from({ length: count }, () => list[random.nextBelow(list.length)]?.id as string)),
  ];
  const maybe = <Rule>(share: number, make: () => Rule): Rule[] =>
    random.nextFloat() < share ? [make()] : [];
  return {
    pinned: [
      ...maybe(0.3, () => ({ partitions: some(partitions, 2) })),
      ...maybe(0.3, () => ({ partitions: some(partitions, 1), node: some(nodes, 1)[0] as string })),
    ],
    forbidden: maybe(0.5, () => ({ partitions: some(partitions, 3), nodes: some(nodes, 2) })),
    zones: maybe(0.4, () => ({
      partitions: some(partitions, 2),
      zones: ['z0', 'z1'].slice(0, 1 + random.nextBelow(2)),
    })),
    apart: [
      ...maybe(0.8, () => ({ partitions: some(partitions, 4), zonesMin: 1 + random.nextBelow(2) })),
      ...maybe(0.3, () => ({ partitions: some(partitions, 2) })),
    ],
    together: maybe(0.5, () => ({ partitions: some(partitions, 3) })),
    ...(random.nextFloat() < 0.3 ? { movesMax: random.nextBelow(5) } : {}),
    ...(random.nextFloat() < 0.3 ? { nodeMovesMax: 1 + random.nextBelow(3) } : {}),
    ...(random.nextFloat() < 0.3 ? { bytesMovedMax: 4e9 * random.nextFloat() } : {}),
  };
}
