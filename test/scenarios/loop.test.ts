/**
 * The whole loop through real processes and a real client: what is sent is captured, forecast, planned and moved under
 * load, as far as the mode allows, and a plugin that fails leaves a database that serves.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createClient } from 'redis';
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { decodeKeptPlan } from '../../plugin/host/plans/kept-plan.ts';
import { keptPlans, plansFolder } from '../../plugin/host/plans/plan-archive.ts';
import { decodeProposal } from '../../plugin/host/records/proposal-record.ts';
import { proposalKey } from '../../plugin/host/records/record-keys.ts';
import { readDecisions } from '../../plugin/metadata/decisions.ts';
import { openEmbeddedMetadata } from '../../plugin/metadata/embedded.ts';
import { LocalCluster } from '../../plugin/node/local/local-cluster.ts';
import { QUERY_NODE_ID_MIN } from '../../plugin/node/node-options.ts';
import { approve } from '../../plugin/operator/approval/approve.ts';
import { replayPlan } from '../../plugin/operator/replay/replay-plan.ts';
import type { PluginMode } from '../../src/controller.ts';
import { CLUSTER, keysOf, sleep, until } from '../support/scenario.ts';

const HOUR_MS = 3_600_000;
const NODE_COUNT = 3;
const PARTITION_COUNT = 32;
const HISTORY_DAYS = 14;
const HISTORY_START_MS = Date.UTC(2001, 0, 1);
const LIVE_START_MS = HISTORY_START_MS + HISTORY_DAYS * 24 * HOUR_MS;
const LIVE_HOURS = 4;
/** Node 0 begins with partitions 0..10: all hot, so that it is asked for thrice its share. */
const HOT_PARTITIONS = 11;
const HOT_QUERIES = 40;
const COLD_QUERIES = 8;
const TOTAL_QUERIES = HOT_PARTITIONS * HOT_QUERIES + (PARTITION_COUNT - HOT_PARTITIONS) * COLD_QUERIES;
/** Queries an hour; evenly spread, the busiest hour fills nodes to 70 %. */
const CAPACITY = (TOTAL_QUERIES * 1.25) / NODE_COUNT / 0.7;

const test = suite('the whole loop');
let cluster: LocalCluster;
const ownership = async () => [...(await cluster.control({ operation: 'ownership' })).ownerOf];

test.before(async () => {
  cluster = await LocalCluster.start({
    storageNodeCount: NODE_COUNT,
    partitionCount: PARTITION_COUNT,
    settings: {
      cluster: { nodeCapacity: { queries: CAPACITY / 3600 } },
      affinity: { iterations: 20_000 },
      migration: {
        residenceMs: 0,
        readWeightSteps: [0.5, 1],
        readWeightHoldMs: 10,
        graceMs: 200,
        freeBytesReserve: 0,
      },
      controller: { seed: '7' },
    },
  });
});
test.after(() => cluster.stop());

/** Queries of one partition in one hour; the afternoon is busier than the night. Even: a write and a read each time. */
function queriesOf(partition: number, hour: number): number {
  const wave = 1 + 0.25 * Math.sin((2 * Math.PI * hour) / 24);
  return 2 * Math.round(((partition < HOT_PARTITIONS ? HOT_QUERIES : COLD_QUERIES) * wave) / 2);
}

const loadOf = (hour: number): number[] =>
  Array.from({ length: PARTITION_COUNT }, (_, partition) => queriesOf(partition, hour));

/** The busiest node, by the load that the season promises, in the busiest hour of a day. */
function busiestNode(ownerOf: readonly number[]): number {
  let busiest = 0;
  for (let hour = 0; hour < 24; hour++) {
    const nodes = new Array<number>(NODE_COUNT).fill(0);
    loadOf(hour).forEach((queries, partition) => {
      nodes[ownerOf[partition] as number] += queries;
    });
    busiest = Math.max(busiest, ...nodes);
  }
  return busiest / CAPACITY;
}

/** A query node that begins anew in another mode, with the same past. */
async function startOver(mode: PluginMode) {
  await cluster.kill(QUERY_NODE_ID_MIN, 'SIGTERM');
  await cluster.restart(QUERY_NODE_ID_MIN, { FORESHARD_PLUGIN_MODE: mode });
  await cluster.control({ operation: 'setClock', nowMs: LIVE_START_MS });
  const windowCount = HISTORY_DAYS * 24;
  const queries = Float64Array.from(Array.from({ length: windowCount }, (_, hour) => loadOf(hour)).flat());
  const shape = {
    startMs: HISTORY_START_MS,
    windowMs: HOUR_MS,
    windowCount,
    partitionCount: PARTITION_COUNT,
  };
  await cluster.control({ operation: 'loadHistory', history: { ...shape, queries } });
  const report = await cluster.control({ operation: 'advance', toMs: LIVE_START_MS });
  check.is(report.isCoordinator, true);
  check.is(report.cycle?.outcome, 'planned');
  return report.cycle as NonNullable<typeof report.cycle>;
}

async function latestProposal(): Promise<Uint8Array | undefined> {
  const metadata = openEmbeddedMetadata({ path: join(cluster.folder, 'metadata') });
  try {
    return (await metadata.get(proposalKey(CLUSTER)))?.value;
  } finally {
    await metadata.close();
  }
}

const openClient = () => createClient({ socket: { host: cluster.host, port: cluster.port } });

/** One key a partition, written with rising numbers and read back after every write. */
class Traffic {
  readonly #client: ReturnType<typeof openClient>;
  readonly #keys = Array.from(
    { length: PARTITION_COUNT },
    (_, partition) => keysOf(partition, { partitionCount: PARTITION_COUNT, count: 1 })[0] as string,
  );
  readonly #acknowledged = new Array<number>(PARTITION_COUNT).fill(0);
  /** [hour][partition]. */
  readonly sent: number[][] = [];
  readonly mistakes: string[] = [];

  constructor(client: ReturnType<typeof openClient>) {
    this.#client = client;
  }

  /** All partitions at once, one query after another in each. */
  async playHour(hour: number): Promise<void> {
    this.sent.push(loadOf(hour));
    await Promise.all(
      this.#keys.map((_, partition) => this.#play(partition, queriesOf(partition, hour) / 2)),
    );
  }

  async #play(partition: number, rounds: number): Promise<void> {
    const key = this.#keys[partition] as string;
    for (let round = 0; round < rounds; round++) {
      const next = (this.#acknowledged[partition] as number) + 1;
      const reply = await this.#client.set(key, String(next));
      if (reply !== 'OK') this.mistakes.push(`SET ${key}: ${reply}`);
      this.#acknowledged[partition] = next;
      const read = await this.#client.get(key);
      if (read !== String(next)) this.mistakes.push(`GET ${key}: ${read}, written ${next}`);
    }
  }

  async findLost(): Promise<string[]> {
    const values = await Promise.all(this.#keys.map((key) => this.#client.get(key)));
    return this.#keys.filter((_, partition) => values[partition] !== String(this.#acknowledged[partition]));
  }
}

test('observe: a plan is made, nothing is proposed and nothing moves', async () => {
  const before = await ownership();
  check.equal(before.slice(0, HOT_PARTITIONS), new Array(HOT_PARTITIONS).fill(0));
  const cycle = await startOver('observe');
  check.ok(cycle.proposedCount > 0, 'there is something to do');
  check.is(cycle.admittedCount, 0);
  check.is(await latestProposal(), undefined);
  check.equal(await ownership(), before);
});

test('propose: the proposal is recorded, the same bytes for the same inputs, and nothing moves', async () => {
  const before = await ownership();
  const cycle = await startOver('propose');
  check.is(cycle.admittedCount, 0);
  const first = (await latestProposal()) as Uint8Array;
  check.is(decodeProposal(first).moves.length, cycle.proposedCount);
  // A plan goes on from the last one, which is an input too: from here on it is the same.
  await startOver('propose');
  const again = (await latestProposal()) as Uint8Array;
  check.equal(decodeProposal(again).moves, decodeProposal(first).moves);
  await startOver('propose');
  const second = (await latestProposal()) as Uint8Array;
  check.is(Buffer.from(second).toString(), Buffer.from(again).toString());
  const paths = await keptPlans(
    plansFolder(join(cluster.folder, '.foreshard/analyzer'), CLUSTER, String(QUERY_NODE_ID_MIN)),
  );
  // All three are of the same moment of the load, and their names differ by what they were made from.
  const path = paths.find((of) => of.includes(decodeProposal(second).inputsHash as string)) as string;
  const kept = await decodeKeptPlan(path, readFileSync(path));
  check.equal((await replayPlan(kept)).differences, [], 'made again from the file of its coordinator');
  // Several turns of the executor.
  await sleep(600);
  check.equal(await ownership(), before);
  const { open, queuedCount, doneCount } = await cluster.control({ operation: 'migrationStatus' });
  check.equal([open.length, queuedCount, doneCount], [0, 0, 0]);
});

test('propose: a move that is approved is carried out, the others are not', async () => {
  const before = await ownership();
  const { moves, evidence } = decodeProposal((await latestProposal()) as Uint8Array);
  const isFree = (index: number) => !moves[index]?.unit && evidence?.moves[index]?.after.length === 0;
  const chosen = moves.find((_, index) => isFree(index)) as (typeof moves)[number];
  const metadata = openEmbeddedMetadata({ path: join(cluster.folder, 'metadata') });
  try {
    const order = { isNow: true, fromMs: null, untilMs: null, reason: 'it looks right' };
    await approve(metadata, CLUSTER, { ...order, partitionIds: [chosen.partitionId] }, LIVE_START_MS);
    const { partitionId, targetNodeId } = chosen;
    await until(async () => (await ownership())[partitionId] === targetNodeId, 'it has moved');
    check.equal(
      await ownership(),
      before.map((owner, partition) => (partition === partitionId ? targetNodeId : owner)),
    );
    check.equal((await readDecisions(metadata, CLUSTER, LIVE_START_MS)).approvals, []);
  } finally {
    await metadata.close();
  }
});

test('auto: moves are proposed and done under load, the map gets better, nothing is lost, all that is sent is captured', async () => {
  const before = await ownership();
  const cycle = await startOver('auto');
  check.ok(cycle.admittedCount > 0, 'moves are admitted');
  check.ok(cycle.costAfter < cycle.costBefore);
  const client = openClient();
  client.on('error', () => undefined); // a command that fails says so where it was sent
  await client.connect();
  try {
    const traffic = new Traffic(client);
    const migrations = () => cluster.control({ operation: 'migrationStatus' });
    const isSettled = async () => {
      const { open, queuedCount } = await migrations();
      return open.length === 0 && queuedCount === 0;
    };
    for (let hour = 0; hour < LIVE_HOURS; hour++) {
      await traffic.playHour(hour);
      const toMs = LIVE_START_MS + (hour + 1) * HOUR_MS;
      await cluster.control({ operation: 'advance', toMs });
    }
    await until(isSettled, 'every migration ends');
    const { doneCount, abortedCount } = await migrations();
    // Not all of the first proposal: a later one takes the place of what has not begun.
    check.ok(doneCount > 0, `${doneCount} done`);
    check.is(abortedCount, 0);
    const after = await ownership();
    const [busiestBefore, busiestAfter] = [busiestNode(before), busiestNode(after)];
    check.ok(busiestBefore > 1.2, `${busiestBefore}`);
    check.ok(busiestAfter < 0.9, `busiest node: ${busiestBefore} -> ${busiestAfter}`);

    const { queries } = await cluster.control({ operation: 'profile' });
    check.equal([...queries.subarray(HISTORY_DAYS * 24 * PARTITION_COUNT)], traffic.sent.flat());
    const sentCount = traffic.sent.flat().reduce((sum, count) => sum + count, 0);
    const { types, droppedCount } = await cluster.control({ operation: 'queryTypes' });
    check.equal(
      types.map(({ template, totalCount, partitionCount }) => [template, totalCount, partitionCount]),
      [
        ['GET {}:{n}', sentCount / 2, PARTITION_COUNT],
        ['SET {}:{n}', sentCount / 2, PARTITION_COUNT],
      ],
    );
    check.is(droppedCount, 0);
    // A query is counted at the node that owns its partition now, wherever it was answered.
    const nodes = types[0]?.storageNodes.map(({ nodeId }) => nodeId).sort();
    check.equal(nodes, [0, 1, 2]);
    check.equal(traffic.mistakes, []);
    check.equal(await traffic.findLost(), []);

    // A body that no caller may send: the analysis thread trips over it as over a bug of its own, and the plugin detaches.
    const broken = { operation: 'loadHistory', history: null } as never;
    const answer = await cluster.control(broken).then(
      () => 'it was accepted',
      (error: Error) => error.message,
    );
    check.match(answer, /null/);
    await until(
      async () => /plugin detached after a fault/.test(cluster.log(QUERY_NODE_ID_MIN)),
      'detaching',
    );
    await traffic.playHour(LIVE_HOURS);
    check.equal(traffic.mistakes, []);
    check.equal(await traffic.findLost(), []);
  } finally {
    client.destroy();
  }
});

test.run();
