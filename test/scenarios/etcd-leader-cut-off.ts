/**
 * Three members of etcd in a network namespace of this process's own, the leading one cut off by rules of its firewall: from all,
 * then from the other members only. A real cluster serves and migrates meanwhile, and two candidates commit as fast as they can.
 * Prints one JSON object; `etcd-leader.test.ts` runs it, and judges.
 */
import { spawnSync } from 'node:child_process';
import { Etcd3 } from 'etcd3';
import { Redis } from 'ioredis';
import { clusterKeys } from '../../plugin/metadata/cluster-keys.ts';
import { loadMap } from '../../plugin/metadata/cluster-map.ts';
import { openEtcdMetadata } from '../../plugin/metadata/etcd/etcd-metadata.ts';
import { LocalCluster } from '../../plugin/node/local/local-cluster.ts';
import { LocalEtcd } from '../../plugin/node/local/local-etcd.ts';
import { QUERY_NODE_ID_MIN } from '../../plugin/node/node-options.ts';
import type { MetadataStore } from '../../src/ports/metadata-store.ts';
import { CLUSTER, keysOf, NumberedWrites, openMigration, sleep, until } from '../support/scenario.ts';
import { type CutOffReport, type CutOffRound, historyOf, type WrittenBy } from './etcd-history.ts';
import { assertOwnNamespace } from './faults/packet-faults.ts';

const PARTITION_COUNT = 16;
const MEMBERS = 3;
const CUT_MS = 4_000;
const MOVE_MS_MAX = 30_000;
const LEADER_KEY = '/candidates/leader';
const LOG_KEY = '/candidates/log';

type Cut = 'from all' | 'from the other members';

async function main(): Promise<void> {
  assertOwnNamespace();
  const etcd = await LocalEtcd.start({ members: MEMBERS, groupOf });
  const { endpoints } = etcd;
  const cluster = await LocalCluster.start({
    storageNodeCount: 2,
    partitionCount: PARTITION_COUNT,
    settings: {
      controller: { leaseTtlMs: 1_000, executorIntervalMs: 50 },
      migration: {
        readWeightSteps: [1],
        readWeightHoldMs: 100,
        graceMs: 200,
        residenceMs: 0,
        freeBytesReserve: 0,
      },
      metadata: { kind: 'etcd', endpoints },
    },
  });
  await cluster.restart(QUERY_NODE_ID_MIN + 1);
  const stores = Array.from({ length: 3 }, () => openEtcdMetadata({ endpoints, requestTimeoutMs: 1_000 }));
  const [observer, one, two] = stores as [MetadataStore, MetadataStore, MetadataStore];
  const client = new Redis({ port: cluster.port });
  const ending = new AbortController();
  try {
    const keys = [0, 5, 11].flatMap((partitionId) =>
      keysOf(partitionId, { partitionCount: PARTITION_COUNT, count: 3 }),
    );
    const writes = new NumberedWrites(client, keys);
    const acknowledged: WrittenBy[] = [];
    const candidates = [
      stand(one, 'one', acknowledged, ending.signal),
      stand(two, 'two', acknowledged, ending.signal),
    ];
    await until(async () => writes.acknowledgedCount > 50 && acknowledged.length > 10, 'everybody works');

    const rounds: CutOffRound[] = [];
    for (const [index, cut] of (['from all', 'from the other members'] as const).entries())
      rounds.push(await playRound({ etcd, observer, cut, partitionId: 2 * index }));
    ending.abort();
    await Promise.all(candidates);
    await writes.end();
    const report: CutOffReport = {
      rounds,
      queries: writes.acknowledgedCount,
      failedQueries: writes.failedCount,
      lost: await writes.findLost(),
      candidates: historyOf(await eventsOf(endpoints, '/candidates/'), {
        leader: LEADER_KEY,
        log: LOG_KEY,
        acknowledged,
      }),
      mapCommitsByTerm: mapCommits(
        await eventsOf(endpoints, clusterKeys(CLUSTER).mapPrefix.replace(/map\/$/, '')),
      ),
    };
    console.log(JSON.stringify(report));
  } finally {
    ending.abort();
    client.disconnect();
    for (const store of stores) await store.close();
    await cluster.stop();
    await etcd.close();
  }
}

/** One partition is moved while the leader is cut off, and one as soon as it is back. */
async function playRound({
  etcd,
  observer,
  cut,
  partitionId,
}: {
  readonly etcd: LocalEtcd;
  readonly observer: MetadataStore;
  readonly cut: Cut;
  readonly partitionId: number;
}): Promise<CutOffRound> {
  const leader = etcd.leader();
  if (leader === null) throw new Error('etcd has no leader');
  const rules = rulesOf(etcd, leader, cut);
  for (const rule of rules) iptables('-A', rule);
  const cutMs = performance.now();
  const moved = move(observer, partitionId).then(() => performance.now() - cutMs);
  // Awaited below; until then a failure of it is not one that nobody has seen.
  moved.catch(() => {});
  await sleep(CUT_MS);
  for (const rule of rules) iptables('-D', rule);
  const healedMs = performance.now();
  const movedFromCutMs = await moved;
  await move(observer, partitionId + 1);
  return { cut, movedFromCutMs, movedAfterHealMs: performance.now() - healedMs };
}

async function move(metadata: MetadataStore, partitionId: number): Promise<void> {
  await until(
    () =>
      openMigration(metadata, { partitionId, targetNodeId: 1 }).then(
        () => true,
        () => false,
      ),
    `a migration of partition ${partitionId} is opened`,
    MOVE_MS_MAX,
  );
  await until(() => isStable(metadata, partitionId), `partition ${partitionId} is moved`, MOVE_MS_MAX);
}

const isStable = async (metadata: MetadataStore, partitionId: number): Promise<boolean> => {
  try {
    const record = (await loadMap(metadata, CLUSTER)).records[partitionId];
    return record?.migration === null && record.ownerNodeId === 1;
  } catch {
    return false;
  }
};

/** Stands for election and commits under its term for as long as it believes in it. */
async function stand(
  metadata: MetadataStore,
  candidate: string,
  acknowledged: WrittenBy[],
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted)
    try {
      const leadership = await metadata.campaign({ election: LEADER_KEY, candidate, ttlMs: 600, signal });
      const term = 'createRevisionIs' in leadership.fence ? leadership.fence.createRevisionIs : 0;
      while (leadership.isHeld() && !signal.aborted) {
        const value = Buffer.from(JSON.stringify({ candidate, term }));
        const writes = [{ kind: 'put', key: LOG_KEY, value }] as const;
        const result = await metadata.commit({ conditions: [leadership.fence], writes }).catch(() => null);
        if (result?.isCommitted) acknowledged.push({ candidate, term, revision: result.revision });
        await sleep(10);
      }
    } catch {
      await sleep(50);
    }
}

interface EtcdEvent {
  readonly key: string;
  /** Null: deleted. */
  readonly value: string | null;
  readonly revision: number;
  readonly createRevision: number;
}

/** All that was ever written below a prefix, from etcd itself. */
async function eventsOf(endpoints: readonly string[], prefix: string): Promise<EtcdEvent[]> {
  const client = new Etcd3({ hosts: [...endpoints] });
  const last = Number((await client.getAll().prefix(prefix).exec()).header.revision);
  // So that there is an event to end at.
  await client.put(`${prefix}end`).value('end');
  const events: EtcdEvent[] = [];
  const watcher = await client.watch().prefix(prefix).startRevision('1').create();
  await new Promise<void>((resolve) => {
    watcher.on('data', ({ events: found }) => {
      for (const { type, kv } of found) {
        const revision = Number(kv.mod_revision);
        if (revision > last) return resolve();
        const value = type === 'Delete' ? null : kv.value.toString();
        events.push({ key: kv.key.toString(), value, revision, createRevision: Number(kv.create_revision) });
      }
    });
  });
  await watcher.cancel();
  client.close();
  return events;
}

function mapCommits(events: readonly EtcdEvent[]): Record<string, number> {
  const { coordinator, mapPrefix } = clusterKeys(CLUSTER);
  const counts: Record<string, number> = {};
  let term = 'none';
  for (const { key, value, createRevision } of events) {
    if (key === coordinator) term = value === null ? 'none' : String(createRevision);
    else if (key.startsWith(mapPrefix)) counts[term] = (counts[term] ?? 0) + 1;
  }
  return counts;
}

/** Members share an address: who receives is told by the port, who sends by the group of its process. */
const groupOf = (member: number): number => 6_001 + member;

function rulesOf(etcd: LocalEtcd, leader: number, cut: Cut): string[][] {
  const ports = Array.from({ length: MEMBERS }, (_, member) => etcd.portsOf(member));
  const own = ports[leader] as { readonly client: number; readonly peer: number };
  const dropTo = (port: number, ...more: string[]): string[] => [
    ...['OUTPUT', '-p', 'tcp', '--dport', String(port), ...more, '-j', 'DROP'],
  ];
  const byLeader = ['-m', 'owner', '--gid-owner', String(groupOf(leader))];
  return [
    dropTo(own.peer),
    ...ports.filter((_, member) => member !== leader).map(({ peer }) => dropTo(peer, ...byLeader)),
    ...(cut === 'from all' ? [dropTo(own.client)] : []),
  ];
}

function iptables(action: '-A' | '-D', rule: readonly string[]): void {
  const { status, stderr } = spawnSync('iptables', ['-w', action, ...rule], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`iptables ${action} ${rule.join(' ')}: ${stderr}`);
}

await main();
