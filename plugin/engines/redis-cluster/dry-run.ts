import { MessageChannel } from 'node:worker_threads';
import { systemClock } from '../../../src/base/clock.ts';
import type { Logger } from '../../../src/base/logger.ts';
import type { Proposal } from '../../../src/model/proposal.ts';
import type { MetadataCondition, MetadataStore } from '../../../src/ports/metadata-store.ts';
import type { Settings } from '../../../src/settings.ts';
import type { CoordinatorBody, CoordinatorMessage } from '../../host/coordinator/coordinator-messages.ts';
import { startThread } from '../../threads/thread.ts';
import type { Call } from '../../threads/thread-calls.ts';
import { ThreadLink } from '../../threads/thread-link.ts';
import { answerCall } from '../../threads/thread-main.ts';
import type { AgentAnalysisBody, AgentAnalysisSetup } from './agent-analysis-thread.ts';
import { AtomicMover } from './atomic/atomic-mover.ts';
import { UNPROTECTED } from './claims/settle-claims.ts';
import { CopyFirstMover } from './copy-first/copy-first-mover.ts';
import { commandText, DryRunNodes } from './dry-run/dry-run-nodes.ts';
import { clusterRefusal } from './moves/guards.ts';
import { MapMirror } from './moves/map-mirror.ts';
import { readOpenSlotMoves } from './moves/move-record.ts';
import { type AskedMove, PartitionMove, type PartitionMoveComponents } from './moves/partition-move.ts';
import { SlotMover } from './slots/slot-mover.ts';
import { assertNodesNamed, ClusterView } from './topology/cluster-view.ts';
import { slotRangeOf } from './topology/partition-owners.ts';
import { numberShards } from './topology/shards.ts';

/** No store has such a key: nothing is written under it. */
const NO_FENCE: MetadataCondition = { key: 'dry-run', revisionIs: 0 };

/**
 * Plans once, as the leader in mode `auto` would now, and writes nothing: neither to the cluster nor to the metadata store.
 *
 * @param folder where the forecaster keeps what a dry run leaves behind.
 * @returns null where nothing can be planned yet.
 * @throws ForeshardError FORESHARD_CONFIG where no node is named.
 */
export async function planWithoutActing(given: Settings, folder: string): Promise<Proposal | null> {
  assertNodesNamed(given.redis);
  const { port1: analysisPort, port2: coordinatorPort } = new MessageChannel();
  const tell = (message: CoordinatorMessage): void => analysisPort.postMessage(message);
  let proposal: Proposal | null = null;
  const respond = async (body: unknown): Promise<unknown> => {
    const asked = body as CoordinatorBody;
    if (asked.operation === 'admit') proposal = asked.proposal;
    return { admittedCount: 0, queuedCount: 0, scheduledCount: 0 };
  };
  analysisPort.on('message', (call: Call) => void answerCall(call, respond, tell));
  const settings: Settings = {
    ...given,
    plugin: { ...given.plugin, mode: 'auto' },
    analyzer: { ...given.analyzer, stateDir: folder },
  };
  const thread = startThread(new URL('./agent-analysis-thread.ts', import.meta.url), {
    workerData: {
      settings,
      agentName: 'dry-run',
      coordinatorPort,
      isDryRun: true,
    } satisfies AgentAnalysisSetup,
    transferList: [coordinatorPort],
  });
  const analysis = new ThreadLink('analysis', thread, () => undefined);
  try {
    await analysis.started;
    tell({ kind: 'term', fence: NO_FENCE });
    await analysis.ask({ operation: 'plan' } satisfies AgentAnalysisBody);
    return proposal;
  } finally {
    await analysis.close();
    analysisPort.close();
  }
}

export interface DryRunComponents {
  readonly metadata: MetadataStore;
  readonly logger: Logger;
}

/** One command that would be sent. */
export interface ToldCommand {
  /** `HOST:PORT`. */
  readonly server: string;
  readonly command: string;
}

export interface ToldMove
  extends Pick<AskedMove, 'partitionId' | 'sourceNodeId' | 'targetNodeId' | 'reason'> {
  /** Why it would not begin; null if it would. */
  readonly refusal: string | null;
  readonly commands: readonly ToldCommand[];
}

export interface DryRun {
  /** Why nothing at all would be moved now; null if something would. */
  readonly held: string | null;
  /** What may go wrong with moves all the same. */
  readonly warnings: readonly string[];
  readonly moves: readonly ToldMove[];
}

/**
 * What would be sent to which server as things stand now, move by move. Only commands that look are sent.
 *
 * @throws ForeshardError FORESHARD_UNAVAILABLE when the cluster cannot be looked at.
 */
export async function commandsOf(
  settings: Settings,
  moves: readonly AskedMove[],
  { metadata, logger }: DryRunComponents,
): Promise<DryRun> {
  const view = new ClusterView(settings.redis);
  try {
    const topology = await view.topology();
    const { name, partitionCount } = settings.cluster;
    const mirror = new MapMirror(metadata, { clusterName: name, partitionCount });
    const shards = numberShards(await mirror.shards(), topology);
    let commands: ToldCommand[] = [];
    const warnings = new Set<string>();
    const nodes = new DryRunNodes(view.nodes, (nodeId, command) => {
      const address = topology.addresses.get(nodeId);
      commands.push({ server: `${address?.host}:${address?.port}`, command: commandText(command) });
    });
    const mover = new SlotMover(settings.redis, {
      nodes,
      clock: systemClock(),
      assertMaySend: () => undefined,
      onUnprotected: (why) => warnings.add(`${UNPROTECTED}: ${why}`),
    });
    const atomicMover = new AtomicMover({
      run: (steps) => mover.run(steps),
      clock: systemClock(),
      limits: () => mover.limits(),
    });
    const parts: PartitionMoveComponents = {
      ...{ topology, shards, mover, atomicMover, view, logger },
      copyFirstMover: new CopyFirstMover({ mover, clock: systemClock() }),
      noteCopies: async () => undefined,
      mayOpen: async () => true,
      // A server that moves slots by itself was told to begin: there is nothing to watch.
      orderOf: async () => (commands.length > 0 ? 'cancel' : 'go-on'),
    };
    const held = clusterRefusal(topology, await readOpenSlotMoves(metadata, name), shards);
    const told: ToldMove[] = [];
    for (const move of moves) {
      commands = [];
      const { partitionId, sourceNodeId, targetNodeId, reason } = move;
      const partitionMove = new PartitionMove(settings.redis, parts);
      const draft = partitionMove.draft(move, slotRangeOf(partitionId, partitionCount));
      const refusal = draft === null ? 'the target has all of it' : await partitionMove.refusal(draft);
      if (refusal === null && draft !== null)
        await partitionMove.run({ ...draft, moveId: 0, startedAtMs: 0 });
      told.push({ partitionId, sourceNodeId, targetNodeId, reason, refusal, commands });
    }
    return { held, warnings: [...warnings], moves: told };
  } finally {
    view.close();
  }
}
