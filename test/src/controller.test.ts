/** What a cycle hands to the migrations: all of a plan, what empties a node, or nothing. */
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { NO_RELIEF } from '../../src/affinity/relief/plan-relief.ts';
import { VirtualClock } from '../../src/base/clock.ts';
import { ForeshardError } from '../../src/base/errors.ts';
import { silentLogger } from '../../src/base/logger.ts';
import { type ClusterState, type CycleComponents, type PluginMode, runCycle } from '../../src/controller.ts';
import { asNodeId } from '../../src/model/ids.ts';
import { LOAD_DIMENSION_COUNT, type LoadProfile } from '../../src/model/load-profile.ts';
import { contiguousMap } from '../../src/model/partition-map.ts';
import type { Move, Proposal } from '../../src/model/proposal.ts';
import type { ProposalEvidence } from '../../src/model/proposal-evidence.ts';

const test = suite('cycle');
const PARTITION_COUNT = 16;
const NOW_MS = 1_000_000_000;
const PROFILE: LoadProfile = {
  startMs: NOW_MS - 20_000,
  windowMs: 10_000,
  windowCount: 2,
  partitionCount: PARTITION_COUNT,
  values: new Float64Array(2 * PARTITION_COUNT * LOAD_DIMENSION_COUNT).fill(1),
  coverage: new Float64Array(2).fill(1),
};

function clusterOf(isDraining: boolean): ClusterState {
  const node = (nodeId: number, draining: boolean) => ({
    nodeId: asNodeId(nodeId),
    isAlive: true,
    isDraining: draining,
    capacity: new Float64Array(LOAD_DIMENSION_COUNT).fill(1e6),
    background: new Float64Array(LOAD_DIMENSION_COUNT),
    dataBytes: 0,
    dataBytesMax: 1e9,
    bandwidthBytesPerSecond: 1e6,
  });
  return {
    map: contiguousMap(PARTITION_COUNT, 2),
    nodes: [node(0, isDraining), node(1, false)],
    partitionBytes: new Float64Array(PARTITION_COUNT),
    restingPartitions: new Set(),
    openMigrations: new Map(),
  };
}

/** A cluster without a history: what empties a node is planned all the same, by a planner that moves partition 0 and 8. */
async function admittedIn(mode: PluginMode, isDraining: boolean): Promise<number[]> {
  return (await admittedMovesIn(mode, isDraining)).map(({ partitionId }) => partitionId);
}

/** @param after partitions that make room for the move of partition 0, as the evidence has it. */
async function admittedMovesIn(
  mode: PluginMode,
  isDraining: boolean,
  after: readonly number[] = [],
  record: CycleComponents['proposals']['record'] = async () => {},
): Promise<readonly Move[]> {
  const admitted: (readonly Move[])[] = [];
  const moves = [
    { partitionId: 0, sourceNodeId: 0, targetNodeId: 1, schedule: null },
    { partitionId: 8, sourceNodeId: 1, targetNodeId: 0, schedule: null },
  ];
  const state = clusterOf(isDraining);
  const plan = { baseOwnerOf: state.map.ownerOf, moves, costBefore: 1, costAfter: 0, lowerBound: 0 };
  const components: CycleComponents = {
    mode,
    skillMin: 0,
    clock: new VirtualClock(NOW_MS),
    logger: silentLogger,
    analyzer: {
      loadProfile: async () => PROFILE,
      forecast: async () => {
        throw new ForeshardError('FORESHARD_NOT_READY', 'wait', 'too little history');
      },
    },
    cluster: { observe: async () => state },
    affinity: {
      propose: async () => plan as unknown as Proposal,
      relieve: () => NO_RELIEF,
      relieved: (_, proposal) => proposal,
      evidence: async () => ({ moves: [{ partitionId: 0, after }] }) as unknown as ProposalEvidence,
    },
    proposals: { memory: async () => ({ lastMoves: [], recentMoves: [] }), record },
    migration: {
      admit: async (proposal) => {
        admitted.push(proposal.moves);
        return { admittedCount: proposal.moves.length, queuedCount: 0, scheduledCount: 0 };
      },
    },
  };
  await runCycle(components);
  check.is(admitted.length, 1, 'something is handed over, be it nothing to do');
  return admitted[0] as readonly Move[];
}

test('an order to drain is obeyed in every mode, and moves only what empties the node', async () => {
  for (const mode of ['observe', 'propose', 'auto'] as const)
    check.equal(await admittedIn(mode, true), [0], mode);
});

test('once it has ended, what it had approved and has not begun is taken back', async () => {
  for (const mode of ['observe', 'propose', 'auto'] as const)
    check.equal(await admittedIn(mode, false), [], mode);
});

test('in mode auto a move is handed over with those that make room for it', async () => {
  const [move] = await admittedMovesIn('auto', true, [5, 6]);
  check.equal(move?.after, [5, 6]);
});

test('a cluster that does not answer yet is no fault: the report says why nothing could be planned', async () => {
  const told: (string | undefined)[] = [];
  for (const code of ['FORESHARD_UNAVAILABLE', 'FORESHARD_CORRUPT'] as const)
    try {
      const { outcome, unseen } = await runCycle({
        mode: 'propose',
        skillMin: 0,
        clock: new VirtualClock(NOW_MS),
        logger: silentLogger,
        analyzer: { loadProfile: async () => ({ ...PROFILE, windowCount: 0 }) },
        cluster: {
          observe: async () => {
            throw new ForeshardError(code, 'retry', 'no node answers');
          },
        },
      } as unknown as CycleComponents);
      told.push(outcome, unseen);
    } catch (error) {
      told.push((error as ForeshardError).code);
    }
  check.equal(told, ['too-little-history', 'no node answers', 'FORESHARD_CORRUPT']);
});

test('what is kept for replays is the plan as it was made of the inputs, whatever of it is proposed', async () => {
  const kept: (readonly [proposed: number, made: number | undefined])[] = [];
  await admittedMovesIn('propose', true, [], async (proposal, { plan }) => {
    kept.push([proposal.moves.length, plan?.moves.length]);
  });
  check.equal(kept, [[1, 2]]);
});

test.run();
