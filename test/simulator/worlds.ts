/**
 * Worlds for planted bugs that an ordinary schedule seldom needs the guard against: the code is the same, there is only more
 * of what the guard is for.
 */
import { type Ambush, FAULTY_MS, NO_RATES, type PlannedMove, type Scenario } from './scenario.ts';

/** As soon as a move is over the next one begins. */
const EAGER_MS = 30;
/** No partition here is large enough to feel it. */
const FREE = 32 << 20;

function movesEvery(paceMs: number, partitionId: number, targets: readonly number[]): PlannedMove[] {
  const moves: PlannedMove[] = [];
  for (let atMs = 10, i = 0; atMs < FAULTY_MS; atMs += paceMs, i++)
    moves.push({ atMs, partitionId, targetNodeId: targets[i % targets.length] as number });
  return moves;
}

/** One partition goes to and fro between two nodes of three, and messages of its earlier stays are still on their way. */
export const toAndFro = (scenario: Scenario): Scenario => ({
  ...scenario,
  nodeCount: 3,
  partitionIds: [0],
  keysPerPartition: 3,
  clientThinkMs: 40,
  operationsPerClient: 30,
  rates: { ...NO_RATES, lateRequest: 0.1, duplicate: 0.3 },
  faults: [],
  ambushes: [],
  moves: movesEvery(EAGER_MS, 0, [1, 0]),
  settings: { ...scenario.settings, graceMs: 20, readWeightSteps: [], readWeightHoldMs: 5 },
});

/** An operator cancels moves to the same node again and again while reads go there. */
export const cancelled = (scenario: Scenario): Scenario => ({
  ...scenario,
  partitionIds: [0],
  keysPerPartition: 6,
  clientThinkMs: 10,
  operationsPerClient: 60,
  rates: NO_RATES,
  faults: [],
  ambushes: Array.from({ length: 8 }, (_, i) => ({
    phase: 'SHIFT' as const,
    kind: 'cancel' as const,
    skipCount: i,
    // Not before reads go there: at first they are only mirrored, for one hold.
    delayMs: 70 + 6 * i,
    victim: 'target' as const,
    diskFault: 'slow' as const,
    forMs: 0,
  })),
  moves: movesEvery(EAGER_MS, 0, [1]),
  settings: {
    ...scenario.settings,
    readWeightSteps: [0.9],
    readWeightHoldMs: 60,
    pieceBytes: 40,
    copyBytesPerSecond: FREE,
  },
});

const ambushIn = (phase: Ambush['phase'], kind: Ambush['kind'], change: Partial<Ambush>): Ambush => ({
  phase,
  kind,
  skipCount: 0,
  delayMs: 5,
  victim: 'source',
  diskFault: 'slow',
  forMs: 0,
  ...change,
});

/** One of the two nodes of a move cannot be reached for a while, and an operator believes that it is gone for good. */
export const takenForLost = (scenario: Scenario, victim: 'source' | 'target'): Scenario => ({
  ...scenario,
  nodeCount: 16,
  partitionIds: [0],
  rates: NO_RATES,
  faults: [],
  ambushes: [ambushIn('SHIFT', 'retire', { victim, skipCount: victim === 'source' ? 0 : 1 })],
  // The second move goes to a node that has given up the only partition it owned.
  moves: [...movesEvery(300, 0, [1]).slice(0, 1), ...movesEvery(300, 0, [0]).slice(1)],
  settings: { ...scenario.settings, graceMs: 20, readWeightSteps: [0.5, 1], readWeightHoldMs: 60 },
});

/** Clients do not reach the target of a move, and everybody else does. */
export const targetOutOfReach = (scenario: Scenario): Scenario => ({
  ...scenario,
  nodeCount: 3,
  partitionIds: [0],
  clientCount: 5,
  clientThinkMs: 4,
  operationsPerClient: 60,
  rates: NO_RATES,
  faults: Array.from({ length: 5 }, (_, client) => ({
    atMs: 0,
    fault: { kind: 'cut' as const, from: `k${client}`, to: 'n1', isBothWays: true, forMs: FAULTY_MS },
  })),
  ambushes: [],
  moves: movesEvery(FAULTY_MS, 0, [1]),
  settings: {
    ...scenario.settings,
    readWeightSteps: [0.5, 1],
    readWeightHoldMs: 600,
    copyBytesPerSecond: FREE,
  },
});

/** Copies of many small pieces under a limit. */
export const slowCopies = (scenario: Scenario): Scenario => ({
  ...scenario,
  partitionIds: [0],
  keysPerPartition: 12,
  clientThinkMs: 5,
  operationsPerClient: 40,
  rates: NO_RATES,
  faults: [],
  ambushes: [],
  moves: movesEvery(400, 0, [1, 0]).slice(1),
  settings: { ...scenario.settings, pieceBytes: 40, copyBytesPerSecond: 1_024 },
});

/** The source restarts while it is copied, and is lost as soon as the copy is complete. */
export const lostAfterCopy = (scenario: Scenario): Scenario => ({
  ...scenario,
  nodeCount: 3,
  partitionIds: [0],
  keysPerPartition: 8,
  clientThinkMs: 2,
  operationsPerClient: 60,
  rates: NO_RATES,
  faults: [],
  ambushes: [
    ambushIn('COPY', 'crash', { delayMs: 2 + scenario.clientThinkMs / 10, forMs: 10 }),
    ambushIn('CATCHUP', 'loss', { delayMs: scenario.clientThinkMs / 20 }),
  ],
  moves: movesEvery(200, 0, [1]),
  settings: { ...scenario.settings, pieceBytes: 40, lagMax: 1 },
});
