/**
 * A write is sent again only if it was certainly not done. So no table of operations has to be written with every command
 * and moved with every partition (docs/decisions/0003 and 0008): this is what that rests on.
 */
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { seededRandom } from '../../../../src/base/random.ts';
import { type FakeCluster, partitionOfKey, startFakeCluster } from '../../../support/fake-cluster.ts';
import { RespClient, RespError } from '../../../support/resp-client.ts';
import { testSeed } from '../../../support/seed.ts';

const test = suite('plugin/node/query-node: a write is done once');
const SEED = testSeed('writes once');
const PARTITION = 2;
const KEY = Array.from({ length: 100 }, (_, i) => `a${i}`).find(
  (key) => partitionOfKey(key) === PARTITION,
) as string;
const WRITES = 80;

let cluster: FakeCluster;
let client: RespClient;

test.after.each(async () => {
  client?.close();
  await cluster?.close();
});

for (const round of [0n, 1n, 2n])
  test(`over lost connections, late answers and changes of owner nothing is done twice (${round})`, async () => {
    cluster = await startFakeCluster({ retryMs: 2_000 });
    client = await RespClient.connect(cluster.query.port);
    const random = seededRandom(SEED + round);
    let doneAndLost = 0;
    for (const node of cluster.nodes)
      node.verdictOf = ({ command, partitionId, epoch, words }) => {
        if (command !== 'APPEND') return 'answer';
        const draw = random.nextFloat();
        if (draw < 0.7) return 'answer';
        if (draw < 0.85) return 'keep';
        if (draw < 0.95 && node.ownedAt.get(partitionId) === epoch) {
          // Done, and nobody hears of it: what a crash behind the commit looks like.
          node.values.set(KEY, (node.values.get(KEY) ?? '') + words[1]);
          doneAndLost++;
        }
        return 'drop-connection';
      };
    const tokens = Array.from({ length: WRITES }, (_, i) => `<${i}>`);
    const replies = tokens.map(async (token) => {
      await new Promise((resolve) => setTimeout(resolve, random.nextBelow(150)));
      return client.call('APPEND', KEY, token);
    });
    let isOver = false;
    const shaken = shake(random, () => isOver);
    const outcomes = await Promise.all(replies);
    isOver = true;
    await shaken;
    for (const node of cluster.nodes) node.verdictOf = () => 'answer';
    const value = await readAgain();
    tokens.forEach((token, i) => {
      const times = value.split(token).length - 1;
      const outcome = outcomes[i];
      const text = outcome instanceof RespError ? outcome.text : '';
      const said = `${token} is there ${times} times after ${text || outcome} (SEED=${SEED})`;
      if (text === '') assert.is(times, 1, said);
      else if (text.startsWith('UNKNOWNOUTCOME')) assert.ok(times <= 1, said);
      else assert.is(times, 0, said);
    });
    assert.ok(doneAndLost > 0, 'some were done without an answer');
    assert.ok(cluster.query.counters.unknownOutcomes > 0, 'and somebody was told so');
  });

async function readAgain(): Promise<string> {
  for (let i = 0; i < 400; i++) {
    const value = await client.call('GET', KEY);
    if (!(value instanceof RespError)) return String(value);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  throw new Error('the partition cannot be read again');
}

/** Answers what was kept, late, and hands the partition to and fro. */
async function shake(random: ReturnType<typeof seededRandom>, isOver: () => boolean): Promise<void> {
  let owner = 0;
  let epoch = cluster.nodes[0].ownedAt.get(PARTITION) as number;
  while (!isOver()) {
    await new Promise((resolve) => setTimeout(resolve, 5 + random.nextBelow(20)));
    if (random.nextFloat() < 0.3) {
      cluster.nodes[owner].ownedAt.delete(PARTITION);
      owner = 1 - owner;
      epoch++;
      await cluster.setRecord(PARTITION, { ownerNodeId: owner });
      cluster.nodes[owner].ownedAt.set(PARTITION, epoch);
    }
    for (const node of cluster.nodes) node.flushKept();
  }
}

test.run();
