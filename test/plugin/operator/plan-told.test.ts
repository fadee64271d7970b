/** What `foreshard plan` says beside its moves: to whom it is strange, what stands behind it, what no map can mend. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { makeInstance } from '../../../plugin/operator/plan/make-instance.ts';
import { planLines } from '../../../plugin/operator/plan/plan-lines.ts';
import { type PlanResult, planResult } from '../../../plugin/operator/plan/plan-result.ts';
import { planNamed } from '../../../plugin/operator/plan/plan-search.ts';
import { readPlanInstance } from '../../../plugin/operator/plan/read-instance.ts';
import { DEFAULT_AFFINITY_SETTINGS } from '../../../src/affinity/settings.ts';
import { withTemporaryFolder } from '../../support/temporary-folder.ts';

const test = suite('what foreshard plan tells');
const SETTINGS = { ...DEFAULT_AFFINITY_SETTINGS, optimizer: 'anneal' as const, iterations: 20_000 };

type Tree = Record<string, unknown>;
const node = (id: string, changes: Tree = {}): Tree => ({ id, capacity: { cpu: 10 }, ...changes });
const partition = (id: string, owner: string, cpu: unknown, changes: Tree = {}): Tree => ({
  id,
  node: owner,
  sizeBytes: 1e9,
  load: { cpu },
  ...changes,
});

/** Through the file, as the command reads it. */
function plan(content: unknown): Promise<PlanResult> {
  return withTemporaryFolder(async (folder) => {
    const file = join(folder, 'instance.json');
    writeFileSync(file, typeof content === 'string' ? content : JSON.stringify(content));
    const named = makeInstance(file, await readPlanInstance(file), SETTINGS);
    return planResult(named, await planNamed(named, { seed: 1 }, SETTINGS), SETTINGS);
  });
}

const told = (result: PlanResult): string => planLines(result, 'anneal').join('\n');

test('a measured utilisation below the load of the own partitions is noted, with the worst slot', async () => {
  const result = await plan({
    slotSeconds: 3600,
    nodes: [node('a', { utilisation: { cpu: [8, 3] } }), node('b', { utilisation: { cpu: [1, 1] } })],
    partitions: [partition('p', 'a', [4, 5]), partition('q', 'a', [4, 4])],
  });
  check.is(result.notes.length, 1);
  check.match(
    result.notes[0] as string,
    /^nodes\[0\]\.utilisation\.cpu is 3 in slot 1, less than the 9 of its own/,
  );
  check.match(told(result), /note: nodes\[0\]/);
});

test('resources and partitions may be called what every object has; what cannot be a name is refused', async () => {
  const called = (name: string): Tree => ({
    slotSeconds: 3600,
    nodes: [
      { id: 'constructor', capacity: { cpu: 10, [name]: 10 } },
      { id: 'b', capacity: { cpu: 10, [name]: 10 } },
    ],
    partitions: [partition('p', 'constructor', 4), partition('toString', 'constructor', 5)],
  });
  const plain = await plan(called('io'));
  check.is((await plan(called('constructor'))).costAfter, plain.costAfter);
  check.is((await plan(called('hasOwnProperty'))).costAfter, plain.costAfter);
  const text = JSON.stringify(called('io')).replaceAll('"io"', '"__proto__"');
  try {
    await plan(text);
    check.unreachable('it was not refused');
  } catch (error) {
    check.match((error as Error).message, /instance\.json: "__proto__" cannot be the name of a resource/);
  }
});

test('a set that has room nowhere stays scattered, with a code of its own', async () => {
  const result = await plan({
    slotSeconds: 3600,
    nodes: [node('a'), node('b')],
    partitions: [
      partition('p', 'a', 5),
      partition('q', 'b', 5),
      partition('r', 'a', 2.5, { sizeBytes: 1 }),
      partition('s', 'b', 2.5, { sizeBytes: 1 }),
    ],
    rules: { together: [{ partitions: ['p', 'q'] }], pinned: [{ partitions: ['r', 's'] }] },
  });
  check.equal(result.moves, []);
  check.is(result.refusal, 'breach-stays');
  check.equal(
    result.inBreach.map(({ id, refusal }) => [id, refusal]),
    [['q', 'capacity']],
  );
  check.ok(result.penaltyAfter > 0 && result.penaltyAfter === result.penaltyBefore);
  check.match(told(result), /q stays on b, where the rules do not want it \(capacity\)/);
});

test('staying at the bound is no worse than it: no gap below 0', async () => {
  const result = await plan({
    slotSeconds: 3600,
    nodes: [node('a'), node('b')],
    partitions: [partition('p', 'a', 0.3), partition('q', 'b', 0.3)],
  });
  check.ok(result.gap !== null && result.gap >= 0 && !Object.is(result.gap, -0));
  check.not.match(told(result), /-0\.0 %/);
});

test('what stands behind a plan: the first breach, dependencies, the frontier, both peaks', async () => {
  const result = await plan({
    slotSeconds: 3600,
    nodes: [node('a'), node('b')],
    partitions: [partition('p', 'a', [2, 5]), partition('q', 'a', [2, 4]), partition('r', 'b', [1, 1])],
  });
  check.equal([result.firstBreach?.node, result.firstBreach?.slot], ['a', 1]);
  check.ok(Math.abs(result.peakMeanBefore - 0.9) < 1e-9 && result.peakBefore > result.peakMeanBefore);
  check.is(result.frontier[0]?.cost, result.costBefore);
  check.ok(Math.abs((result.frontier.at(-1)?.cost as number) - result.costAfter) < 1e-9);
  check.equal(result.utilisation.meanBefore[0]?.[0], [400, 900]);
  check.ok(result.moves.length > 0);
  for (const move of result.moves) {
    check.ok(move.gainAlone > 0 && move.seconds > 0);
    check.equal(move.after, []);
  }
  check.match(told(result), /if nothing is done, a leaves its comfort zone in slot 1: 92\.[23] % of its cpu/);
});

test('what no map can mend: nodes to add, a partition to split; and nodes that can go', async () => {
  const full = await plan({
    slotSeconds: 3600,
    nodes: [node('a'), node('b')],
    partitions: Array.from({ length: 10 }, (_, p) => partition(`p${p}`, p % 2 === 0 ? 'a' : 'b', [1, 1.8])),
  });
  check.equal(
    full.growth.map((advice) => ('slot' in advice ? [advice.kind, advice.slot] : advice)),
    [['add-nodes', 1]],
  );
  check.match(told(full), /no map is good enough: from slot 1 on .*: add 1 node$/m);
  const hot = await plan({
    slotSeconds: 3600,
    nodes: [node('a'), node('b'), node('c')],
    partitions: [partition('p', 'a', 9), partition('q', 'b', 1)],
  });
  check.match(told(hot), /p is too hot for any node's comfort zone: in slot 0 .*: split it/);
  const idle = await plan({
    slotSeconds: 3600,
    nodes: ['a', 'b', 'c', 'd'].map((id) => node(id)),
    partitions: [partition('p', 'a', 1), partition('q', 'b', 1)],
  });
  check.match(told(idle), /nodes? can go/);
});

test('where every node is to go nothing moves, and nodes of their kind are asked for', async () => {
  const result = await plan({
    slotSeconds: 3600,
    nodes: [node('a', { isDraining: true }), node('b', { isDraining: true })],
    partitions: [partition('p', 'a', 4), partition('q', 'a', 4.5)],
  });
  check.equal(result.moves, []);
  check.is(result.refusal, 'breach-stays');
  check.equal(
    result.growth.map((advice) => [advice.kind, 'nodeCount' in advice && advice.nodeCount]),
    [['add-nodes', 2]],
  );
  check.not.match(told(result), /Infinity|NaN/);
});

test('a limit that costs nothing is comfortable until it is full', async () => {
  const nodes = ['a', 'b'].map((id) => ({ id, capacity: { cpu: 10, memory: 10 } }));
  const own = (id: string, owner: string): Tree => ({
    ...partition(id, owner, 5),
    load: { cpu: 5, memory: 9 },
  });
  const result = await plan({ slotSeconds: 3600, nodes, partitions: [own('p', 'a'), own('q', 'b')] });
  check.equal(result.growth, []);
  check.is(result.firstBreach, null);
});

test.run();
