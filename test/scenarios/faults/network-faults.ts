/** What a network does to the connections of the storage nodes, by a proxy in front of each; see tcp-proxy.ts. */
import { seededRandom } from '../../../src/base/random.ts';
import type { MigrationPhase } from '../../../src/model/migration.ts';
import { sleep, until } from '../../support/scenario.ts';
import { type LineFaults, TcpProxy } from '../../support/tcp-proxy.ts';
import { FaultCluster, STORAGE_NODES } from './fault-cluster.ts';
import type { RowContext, RowPlan } from './play-row.ts';
import { HOLD_PHASE, partitionOf } from './process-faults.ts';
import type { FaultScore } from './score.ts';

type Side = 'source' | 'target';

interface NetworkFault {
  readonly name: string;
  readonly side: Side;
  readonly phases: readonly MigrationPhase[];
  readonly toServer?: LineFaults;
  readonly toClient?: LineFaults;
  readonly once?: (proxy: TcpProxy) => void;
  readonly forMs: number;
}

/** Shorter than a query waits for its partition: what is stalled arrives after all. */
const STALL_MS = 1_200;
const SLOW: LineFaults = { delayMs: 40, jitterMs: 40 };
/** Ends that share a flipped bit with nobody must have noticed by then. */
const NOTICED_MS_MAX = 5_000;

const FAULTS: readonly NetworkFault[] = [
  {
    name: 'delay and jitter',
    side: 'source',
    phases: ['COPY', 'FENCING'],
    toServer: SLOW,
    toClient: SLOW,
    forMs: 800,
  },
  {
    name: 'delay and jitter',
    side: 'target',
    phases: ['FENCED', 'SWITCHED'],
    toServer: SLOW,
    toClient: SLOW,
    forMs: 800,
  },
  {
    name: 'narrow line',
    side: 'source',
    phases: ['COPY'],
    toClient: { bytesPerSecond: 300_000 },
    forMs: 1_000,
  },
  {
    name: 'connections lost',
    side: 'source',
    phases: ['COPY', 'CATCHUP', 'FENCED'],
    once: (p) => p.dropAll(),
    forMs: 0,
  },
  {
    name: 'connections lost',
    side: 'target',
    phases: ['SHIFT', 'SWITCHED', 'GRACE'],
    once: (p) => p.dropAll(),
    forMs: 0,
  },
  { name: 'half-close', side: 'source', phases: ['COPY'], once: (p) => p.halfCloseAll('toServer'), forMs: 0 },
  {
    name: 'half-close',
    side: 'target',
    phases: ['FENCED'],
    once: (p) => p.halfCloseAll('toClient'),
    forMs: 0,
  },
  {
    name: 'requests stall',
    side: 'source',
    phases: ['COPY', 'FENCING'],
    toServer: { isStalled: true },
    forMs: STALL_MS,
  },
  {
    name: 'answers stall',
    side: 'source',
    phases: ['FENCING', 'ABORT'],
    toClient: { isStalled: true },
    forMs: STALL_MS,
  },
  {
    name: 'requests stall',
    side: 'target',
    phases: ['VERIFY', 'SWITCHED'],
    toServer: { isStalled: true },
    forMs: STALL_MS,
  },
  {
    name: 'answers stall',
    side: 'target',
    phases: ['SWITCHED', 'CLEANUP'],
    toClient: { isStalled: true },
    forMs: STALL_MS,
  },
  { name: 'bit flips', side: 'source', phases: ['COPY', 'VERIFY'], toClient: { flips: 3 }, forMs: 400 },
  { name: 'bit flips', side: 'target', phases: ['SHIFT', 'FENCED'], toServer: { flips: 3 }, forMs: 400 },
];

export interface ProxiedCluster {
  readonly cluster: FaultCluster;
  readonly proxies: ReadonlyMap<number, TcpProxy>;
  stop(): Promise<void>;
}

/** A cluster all of whose connections to storage nodes lead through a proxy: the map of addresses says so. */
export async function startProxied(seed: bigint): Promise<ProxiedCluster> {
  const cluster = await FaultCluster.start({ holdPhase: HOLD_PHASE });
  const proxies = new Map<number, TcpProxy>();
  const random = seededRandom(seed).fork('proxies');
  const stop = async (): Promise<void> => {
    await cluster.stop();
    for (const proxy of proxies.values()) await proxy.close();
  };
  try {
    for (const nodeId of STORAGE_NODES)
      proxies.set(
        nodeId,
        await TcpProxy.start(
          () => cluster.cluster.addressOf(nodeId),
          () => random.nextFloat(),
        ),
      );
    await cluster.readdress((nodeId) => (proxies.get(nodeId) as TcpProxy).port);
    return { cluster, proxies, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

export function networkRows(proxies: ReadonlyMap<number, TcpProxy>, score: FaultScore): RowPlan[] {
  return FAULTS.flatMap((fault) =>
    fault.phases.map((phase) => ({
      stage: 'network',
      phase,
      fault: fault.name,
      victim: fault.side,
      partitionId: partitionOf(phase),
      inject: (context: RowContext) => disturb(fault, context, proxies, score),
    })),
  );
}

async function disturb(
  fault: NetworkFault,
  { sourceNodeId, targetNodeId, onStruck }: RowContext,
  proxies: ReadonlyMap<number, TcpProxy>,
  score: FaultScore,
): Promise<void> {
  const proxy = proxies.get(fault.side === 'source' ? sourceNodeId : targetNodeId) as TcpProxy;
  const flippedBefore = proxy.flippedCount;
  proxy.setFaults('toServer', fault.toServer ?? {});
  proxy.setFaults('toClient', fault.toClient ?? {});
  fault.once?.(proxy);
  await onStruck();
  await sleep(fault.forMs);
  proxy.heal();
  if (proxy.flippedCount === flippedBefore) return;
  // A frame with a wrong bit fails its checksum, and its connection is given up: it is never answered as if it were right.
  await until(async () => proxy.flipped.size === 0, 'flipped bits are noticed', NOTICED_MS_MAX).catch(() =>
    score.violations.other.push(`a flipped bit on the way to or from a ${fault.side} was not noticed`),
  );
}
