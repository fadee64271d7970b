import type { Pointer } from './exports.ts';

/** assembly/search/kernels.ts: for each problem, the size of its control block, a start and a run of the annealing loop. */
export interface SearchExports {
  placementBlockBytes(): number;
  placementReset(block: Pointer): void;
  placementRun(block: Pointer, iterations: number): number;
}

export type FieldKind = 'u32' | 'f32' | 'f64';
const FIELD_BYTES: Record<FieldKind, number> = { u32: 4, f32: 4, f64: 8 };

/** The fields of assembly/search/state.ts, in order: what every problem's control block begins with. Pointers are u32. */
export const SEARCH_FIELDS = {
  temperature: 'f64',
  cooling: 'f64',
  cost: 'f64',
  bestCost: 'f64',
  bestMargin: 'f64',
  level: 'f64',
  iteration: 'u32',
  acceptedCount: 'u32',
  random0: 'u32',
  random1: 'u32',
  random2: 'u32',
  random3: 'u32',
  negativeLog: 'u32',
  itemCount: 'u32',
  owner: 'u32',
  bestOwner: 'u32',
  journal: 'u32',
  journalCount: 'u32',
  journalMax: 'u32',
  operatorCount: 'u32',
  operatorTable: 'u32',
  operators: 'u32',
  isLearning: 'u32',
  samples: 'u32',
  sampleCount: 'u32',
  sampleMax: 'u32',
} as const satisfies Record<string, FieldKind>;

/** The fields of assembly/search/placement.ts, which follow. */
export const PLACEMENT_FIELDS = {
  ...SEARCH_FIELDS,
  nodeCount: 'u32',
  depth: 'u32',
  slotStride: 'u32',
  resourceCount: 'u32',
  load: 'u32',
  variance: 'u32',
  nodeLoad: 'u32',
  nodeVariance: 'u32',
  nodeSlope: 'u32',
  nodeBend: 'u32',
  nodeDoubt: 'u32',
  isScreened: 'u32',
  background: 'u32',
  nodeCost: 'u32',
  nodePeak: 'u32',
  slotWeight: 'u32',
  inverseCapacity: 'u32',
  overloadFactor: 'u32',
  riskZ: 'f32',
  commonErrorSquared: 'f32',
  safeUtilisation: 'f32',
  peakWeight: 'f32',
  highest0: 'u32',
  highest1: 'u32',
  highest2: 'u32',
  highest3: 'u32',
  home: 'u32',
  placePrice: 'u32',
  memberCount: 'u32',
  bytes: 'u32',
  bytesRoom: 'u32',
  bytesFree: 'u32',
  movesMax: 'u32',
  movedCount: 'u32',
  movable: 'u32',
  movableCount: 'u32',
  targets: 'u32',
  targetCount: 'u32',
  size: 'u32',
  bySize: 'u32',
  rankOf: 'u32',
  next: 'u32',
  previous: 'u32',
  cursor: 'u32',
  ruleFlags: 'u32',
  groupOf: 'u32',
  groupCount: 'u32',
  zoneCount: 'u32',
  zoneOf: 'u32',
  groupZonesMin: 'u32',
  groupOnNode: 'u32',
  groupInZone: 'u32',
  groupZones: 'u32',
  nodeMoves: 'u32',
  nodeMovesMax: 'u32',
  bytesMoved: 'f64',
  bytesMovedMax: 'f64',
  scratch: 'u32',
  costA: 'f32',
  costB: 'f32',
  costC: 'f32',
  peakA: 'f32',
  peakB: 'f32',
  peakC: 'f32',
  movedDelta: 'u32',
  bytesDelta: 'f64',
  steps: 'u32',
  stepCount: 'u32',
} as const satisfies Record<string, FieldKind>;

/** Byte offsets of fields laid out one after the other, each at a multiple of its size, as AssemblyScript does it. */
export function layOut<Fields extends Record<string, FieldKind>>(
  fields: Fields,
): { readonly offsets: Record<keyof Fields, number>; readonly bytes: number } {
  let next = 0;
  const offsets: Record<string, number> = {};
  for (const [name, kind] of Object.entries(fields)) {
    const bytes = FIELD_BYTES[kind];
    next = Math.ceil(next / bytes) * bytes;
    offsets[name] = next;
    next += bytes;
  }
  return { offsets: offsets as Record<keyof Fields, number>, bytes: next };
}

/** Iterations between two steps of the temperature, and between two looks at the operators' credit. */
export const SEARCH_EPOCH = 256;
export const SEARCH_LEARN_EPOCHS = 8;
/** Numbers of each operator: weight, credit, tries, price, fixed share. */
export const OPERATOR_NUMBERS = 5;
export const OPERATOR_TABLE_COUNT = 256;
export const NEGATIVE_LOG_COUNT = 1024;

/** f32[1024]: -ln((i + 0.5) / 1024), so that acceptance needs a table and no logarithm that differs by platform. */
export function negativeLogTable(): Float32Array {
  return Float32Array.from(
    { length: NEGATIVE_LOG_COUNT },
    (_, i) => -Math.log((i + 0.5) / NEGATIVE_LOG_COUNT),
  );
}

/** What the placement rules' `ruleFlags` is made of, as in assembly/search/placement-rules.ts. */
export const RULE_FLAGS = { groups: 1, nodeMoves: 2, bytesMoved: 4 } as const;

/**
 * The operators of assembly/search/placement-moves.ts in order, with what a try takes, relative to a shift at 24 slots: the
 * loop divides their gains by it; and the share of draws that is theirs whatever the loop learns, before it is halved. Both measured
 * roughly; the search is not sensitive to them.
 */
export const PLACEMENT_OPERATORS = [
  { name: 'shift', price: 1, share: 0.2 },
  { name: 'swap', price: 1, share: 0.05 },
  { name: 'home', price: 0.5, share: 0.1 },
  { name: 'hot-shift', price: 1.1, share: 0.1 },
  { name: 'near-swap', price: 1.1, share: 0.25 },
  { name: 'hot-swap', price: 1.2, share: 0.1 },
  { name: 'chain', price: 2, share: 0.1 },
  { name: 'bundle', price: 1.5, share: 0.1 },
] as const;
