/** What will happen in one schedule, drawn from its seed as plain data: so that it can be shrunk, and still be replayed. */
import type { Random } from '../../src/base/random.ts';
import { MIGRATION_PHASES, type MigrationPhase } from '../../src/model/migration.ts';
import { DISK_FAULTS, type DiskFault } from './disk.ts';

/** How bad the world is, all the time; shares of messages or requests. */
export interface Rates {
  readonly loss: number;
  readonly duplicate: number;
  /** Control messages that arrive when nobody waits for them any more; of the second copies every other one does. */
  readonly late: number;
  /** The same of clients' requests. */
  readonly lateRequest: number;
  /** Metadata commits whose answer is lost: the commit happens at once, later, or never. */
  readonly unknownCommit: number;
  readonly metadataDown: number;
}

export const NO_RATES: Rates = {
  loss: 0,
  duplicate: 0,
  late: 0,
  lateRequest: 0,
  unknownCommit: 0,
  metadataDown: 0,
};

/** A process or the metadata store: `n0` a storage node, `c0` a coordinator, `k0` a client, `m`. */
export type End = string;

/** One thing that goes wrong, or that an operator does. */
export type Fault =
  | { readonly kind: 'crash'; readonly process: End; readonly downMs: number }
  | { readonly kind: 'stop'; readonly process: End; readonly forMs: number }
  | {
      readonly kind: 'cut';
      readonly from: End;
      readonly to: End;
      readonly isBothWays: boolean;
      readonly forMs: number;
    }
  | { readonly kind: 'disk'; readonly nodeId: number; readonly fault: DiskFault; readonly forMs: number }
  | { readonly kind: 'disk-full'; readonly nodeId: number; readonly forMs: number }
  | { readonly kind: 'clock-jump'; readonly process: End; readonly byMs: number }
  | { readonly kind: 'metadata-down'; readonly forMs: number }
  | { readonly kind: 'metadata-full'; readonly forMs: number }
  | { readonly kind: 'operator-pause'; readonly forMs: number };

/** At a time since the faults began. */
export interface TimedFault {
  readonly atMs: number;
  readonly fault: Fault;
}

/**
 * A moment that chance alone would seldom hit: a migration has just entered a phase. A fault befalls one of those who act in
 * it, or an operator steps in.
 */
export interface Ambush {
  readonly phase: MigrationPhase;
  /** So many migrations enter the phase unharmed before. */
  readonly skipCount: number;
  readonly delayMs: number;
  readonly victim: 'source' | 'target' | 'coordinator';
  /**
   * `loss`: a machine is gone for good, with its disk; the target's, or for any other victim the present owner's. `retire`: an
   * operator believes so of a node that only cannot be reached.
   */
  readonly kind: 'crash' | 'stop' | 'cut' | 'disk' | 'cancel' | 'rollback' | 'loss' | 'retire';
  readonly diskFault: DiskFault;
  readonly forMs: number;
}

export interface PlannedMove {
  readonly atMs: number;
  readonly partitionId: number;
  /** None, where the cluster was shrunk below it. */
  readonly targetNodeId: number;
}

export interface Scenario {
  readonly nodeCount: number;
  readonly partitionIds: readonly number[];
  readonly keysPerPartition: number;
  readonly clientCount: number;
  readonly operationsPerClient: number;
  readonly clientThinkMs: number;
  readonly rates: Rates;
  readonly faults: readonly TimedFault[];
  readonly ambushes: readonly Ambush[];
  readonly moves: readonly PlannedMove[];
  readonly settings: {
    readonly graceMs: number;
    readonly fenceBudgetMs: number;
    readonly readWeightSteps: readonly number[];
    readonly readWeightHoldMs: number;
    readonly pieceBytes: number;
    readonly lagMax: number;
    readonly copyBytesPerSecond: number;
    /** Of the looks at what clients feel of a copy, those that find that it hurts them. */
    readonly distressShare: number;
  };
}

export const NODE_COUNT_MIN = 2;
export const NODE_COUNT_MAX = 7;
export const COORDINATOR_COUNT = 2;
/** Of so many partitions a few are written and moved; it is the least that a cluster may have. */
export const PARTITION_COUNT = 16;
/** A coordinator that does not say so for so long has lost its office. */
export const LEASE_MS = 300;
/** How long things go wrong. */
export const FAULTY_MS = 2_000;
const CLOCK_JUMP_MS_MAX = 600_000;

export function drawScenario(random: Random): Scenario {
  const shape = random.fork('shape');
  const nodeCount = NODE_COUNT_MIN + Math.min(shape.nextBelow(6), shape.nextBelow(6));
  const partitionIds = [0, 5, 11].slice(0, 2 + shape.nextBelow(2));
  const clientCount = 2 + shape.nextBelow(4);
  const isCalm = shape.nextFloat() < 0.1;
  const ambushes = isCalm ? [] : drawAmbushes(random.fork('ambushes'), nodeCount);
  const faults = isCalm ? [] : drawFaults(random.fork('faults'), nodeCount, clientCount);
  // A copy that is taken over may not have been verified yet: whatever a disk has torn in it is among what is lost.
  const isUntorn = ambushes.some(({ kind }) => kind === 'loss');
  return {
    nodeCount,
    partitionIds,
    keysPerPartition: 3 + shape.nextBelow(4),
    clientCount,
    operationsPerClient: 10 + shape.nextBelow(20),
    clientThinkMs: 5 + shape.nextFloat() * 100,
    rates: isCalm ? NO_RATES : drawRates(random.fork('rates')),
    faults: isUntorn ? faults.filter(({ fault }) => fault.kind !== 'disk' || fault.fault !== 'torn') : faults,
    ambushes: isUntorn
      ? ambushes.filter(({ kind, diskFault }) => kind !== 'disk' || diskFault !== 'torn')
      : ambushes,
    moves: drawMoves(random.fork('moves'), partitionIds, nodeCount),
    settings: drawSettings(random.fork('settings')),
  };
}

function drawRates(random: Random): Rates {
  const rate = (max: number): number => (random.nextFloat() < 0.4 ? 0 : random.nextFloat() * max);
  return {
    loss: rate(0.08),
    duplicate: rate(0.2),
    late: rate(0.08),
    lateRequest: rate(0.08),
    unknownCommit: rate(0.2),
    metadataDown: rate(0.05),
  };
}

function drawMoves(random: Random, partitionIds: readonly number[], nodeCount: number): PlannedMove[] {
  const moves: PlannedMove[] = [];
  // One partition to and fro, in some schedules: it returns to a node while late messages of its last stay are on their way.
  const isToAndFro = random.nextFloat() < 0.3;
  const paceMs = isToAndFro ? 40 : 60 + random.nextFloat() * 200;
  const targetCount = isToAndFro ? 2 + random.nextBelow(2) : nodeCount;
  const movedIds = isToAndFro ? partitionIds.slice(0, 1) : partitionIds;
  for (let atMs = 10; atMs < FAULTY_MS; atMs += random.nextFloat() * 2 * paceMs)
    moves.push({
      atMs,
      partitionId: movedIds[random.nextBelow(movedIds.length)] as number,
      targetNodeId: random.nextBelow(targetCount),
    });
  return moves;
}

function drawSettings(random: Random): Scenario['settings'] {
  const oneOf = <T>(choices: readonly T[]): T => choices[random.nextBelow(choices.length)] as T;
  return {
    graceMs: oneOf([20, 60, 120]),
    fenceBudgetMs: oneOf([120, 200, 300]),
    readWeightSteps: oneOf([[], [0.5, 1], [0.3, 0.6, 1]]),
    readWeightHoldMs: oneOf([5, 30]),
    pieceBytes: oneOf([40, 60, 400]),
    lagMax: oneOf([1, 4, 50]),
    copyBytesPerSecond: oneOf([32 << 20, 32 << 20, 4_096, 1_024]),
    distressShare: oneOf([0, 0.2, 1]),
  };
}

function drawFaults(random: Random, nodeCount: number, clientCount: number): TimedFault[] {
  const count = random.nextBelow(7);
  const faults = Array.from({ length: count }, () => ({
    atMs: random.nextFloat() * FAULTY_MS,
    fault: drawFault(random, nodeCount, clientCount),
  }));
  return faults.sort((a, b) => a.atMs - b.atMs);
}

const FAULT_KINDS: readonly Fault['kind'][] = [
  'crash',
  'crash',
  'crash',
  'stop',
  'stop',
  'cut',
  'cut',
  'disk',
  'disk',
  'disk-full',
  'clock-jump',
  'metadata-down',
  'metadata-full',
  'operator-pause',
];

function drawFault(random: Random, nodeCount: number, clientCount: number): Fault {
  const lasting = (max: number): number => 10 + random.nextFloat() * max;
  const nodeId = random.nextBelow(nodeCount);
  const coordinator: End = `c${random.nextBelow(COORDINATOR_COUNT)}`;
  const process: End = random.nextFloat() < 0.7 ? `n${nodeId}` : coordinator;
  const kind = FAULT_KINDS[random.nextBelow(FAULT_KINDS.length)] as Fault['kind'];
  switch (kind) {
    case 'crash':
      return { kind, process, downMs: lasting(400) };
    case 'stop':
      return { kind, process, forMs: lasting(2 * LEASE_MS) };
    case 'cut': {
      const others: End[] = [
        'm',
        coordinator,
        `n${random.nextBelow(nodeCount)}`,
        `k${random.nextBelow(clientCount)}`,
      ];
      const other = others[random.nextBelow(others.length)] as End;
      const isOutward = random.nextFloat() < 0.5;
      const [from, to] = isOutward ? [process, other] : [other, process];
      return { kind, from, to, isBothWays: random.nextFloat() < 0.4, forMs: lasting(600) };
    }
    case 'disk': {
      const fault = DISK_FAULTS[random.nextBelow(DISK_FAULTS.length)] as DiskFault;
      return { kind, nodeId, fault, forMs: lasting(300) };
    }
    case 'disk-full':
      return { kind, nodeId, forMs: lasting(500) };
    case 'clock-jump':
      return { kind, process, byMs: Math.round((random.nextFloat() * 2 - 1) * CLOCK_JUMP_MS_MAX) };
    default:
      return { kind, forMs: lasting(300) };
  }
}

const AMBUSH_KINDS: readonly Ambush['kind'][] = ['crash', 'crash', 'stop', 'cut', 'disk', 'cancel'];
/** Those more often in which more can go wrong. */
const AMBUSH_PHASES: readonly MigrationPhase[] = [
  ...MIGRATION_PHASES,
  'COPY',
  'SHIFT',
  'SHIFT',
  'FENCED',
  'FENCED',
];
/** Somebody has a copy of what the owner loses then. */
const OWNER_LOSS_PHASES: readonly MigrationPhase[] = [
  'VERIFY',
  'SHIFT',
  'FENCED',
  'SWITCHED',
  'GRACE',
  'CLEANUP',
];
const VICTIMS: readonly Ambush['victim'][] = ['source', 'target', 'coordinator'];

function drawAmbushes(random: Random, nodeCount: number): Ambush[] {
  const oneOf = <T>(choices: readonly T[]): T => choices[random.nextBelow(choices.length)] as T;
  const ambush = (phase: MigrationPhase, kind: Ambush['kind']): Ambush => ({
    phase,
    kind,
    skipCount: random.nextBelow(3),
    delayMs: random.nextFloat() * 12,
    victim: oneOf(VICTIMS),
    diskFault: oneOf(DISK_FAULTS),
    forMs: 10 + random.nextFloat() * 400,
  });
  const ambushes = Array.from({ length: random.nextBelow(4) }, () =>
    ambush(oneOf(AMBUSH_PHASES), oneOf(AMBUSH_KINDS)),
  );
  // There is a way back in the grace only.
  if (random.nextFloat() < 0.25) ambushes.push(ambush('GRACE', 'rollback'));
  // Of two nodes the other one may have half a copy, which nobody can open, and there is no third.
  if (nodeCount > 2 && random.nextFloat() < 0.1)
    ambushes.push({ ...ambush(oneOf(OWNER_LOSS_PHASES), 'loss'), victim: 'source' });
  if (nodeCount > 2 && random.nextFloat() < 0.05)
    ambushes.push({ ...ambush(oneOf(MIGRATION_PHASES), 'loss'), victim: 'target' });
  if (nodeCount > 2 && random.nextFloat() < 0.05) ambushes.push(ambush(oneOf(MIGRATION_PHASES), 'retire'));
  return ambushes;
}
