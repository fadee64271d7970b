import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import {
  type PlanInstanceFile,
  planInstanceJsonSchema,
} from '../../../plugin/operator/plan/instance-schema.ts';
import { makeInstance } from '../../../plugin/operator/plan/make-instance.ts';
import { type PlannedMove, planResult } from '../../../plugin/operator/plan/plan-result.ts';
import { planNamed } from '../../../plugin/operator/plan/plan-search.ts';
import { readPlanInstance } from '../../../plugin/operator/plan/read-instance.ts';
import { schedulePlan } from '../../../plugin/operator/plan/time-plan.ts';
import { planInstance } from '../../../src/affinity/plan-instance.ts';
import { DEFAULT_AFFINITY_SETTINGS, OPTIMIZERS, type OptimizerName } from '../../../src/affinity/settings.ts';
import { ForeshardError } from '../../../src/base/errors.ts';
import { seededRandom } from '../../../src/base/random.ts';
import { repositoryFile } from '../../support/repository.ts';
import { withTemporaryFolder } from '../../support/temporary-folder.ts';

const test = suite('foreshard plan');
const SETTINGS = { ...DEFAULT_AFFINITY_SETTINGS, iterations: 20_000 };

type Tree = Record<string, unknown>;
const node = (id: string, changes: Tree = {}): Tree => ({
  id,
  capacity: { cpu: 10, memory: 100 },
  ...changes,
});
const partition = (id: string, owner: string, cpu: unknown, changes: Tree = {}): Tree => ({
  id,
  node: owner,
  sizeBytes: 1e9,
  load: { cpu, memory: 5 },
  ...changes,
});
/** A hot node and an idle one. */
const twoNodes = (changes: Tree = {}): Tree => ({
  slotSeconds: 3600,
  nodes: [node('a'), node('b')],
  partitions: [
    partition('p', 'a', [4, 5]),
    partition('q', 'a', [3, 4]),
    partition('r', 'a', [1, 1]),
    partition('s', 'b', [1, 1]),
  ],
  ...changes,
});

async function plan(content: Tree, optimizer: OptimizerName = 'anneal', seed = 1, settings = SETTINGS) {
  const named = makeInstance('test.json', content as unknown as PlanInstanceFile, settings);
  return planResult(named, await planNamed(named, { seed }, { ...settings, optimizer }), settings);
}

/** Through the file, so that the schema sees it. */
async function refusalOf(content: unknown): Promise<ForeshardError> {
  return withTemporaryFolder(async (folder) => {
    const file = join(folder, 'instance.json');
    writeFileSync(file, typeof content === 'string' ? content : JSON.stringify(content));
    try {
      makeInstance(file, await readPlanInstance(file), SETTINGS);
    } catch (error) {
      check.instance(error, ForeshardError);
      return error as ForeshardError;
    }
    throw new Error('it was not refused');
  });
}

test('the schema that is shipped is the one that is checked', () => {
  const shipped = JSON.parse(readFileSync(repositoryFile('docs/plan-instance.schema.json'), 'utf8'));
  check.equal(shipped, JSON.parse(JSON.stringify(planInstanceJsonSchema())), 'foreshard plan --schema');
});

test('the example keeps its rules and is far better than staying', async () => {
  const file = repositoryFile('examples/plan/three-nodes.json');
  const named = makeInstance(file, await readPlanInstance(file), SETTINGS);
  for (const optimizer of OPTIMIZERS) {
    const result = planResult(
      named,
      await planNamed(named, { seed: 1 }, { ...SETTINGS, optimizer }),
      SETTINGS,
    );
    check.ok(result.costAfter < 0.1 * result.costBefore, optimizer);
    check.ok(result.costAfter >= result.lowerBound, optimizer);
    const first = result.moves[0];
    check.is(first?.source, 'alpha');
    check.match(first?.reason ?? '', /relieves alpha in cpu, most at 2026-01-05 12:00 UTC/);
    const targetOf = new Map(result.moves.map(({ partition: own, target }) => [own, target]));
    check.not(targetOf.has('audit'), 'it is pinned');
    check.is(targetOf.get('carts'), targetOf.get('users-1'), 'they move together or not at all');
  }
});

test('a hot node gives away what the other can take; the answer has the fields of its page', async () => {
  const result = await plan(twoNodes());
  check.ok(result.costAfter < result.costBefore);
  check.ok(result.gap !== null && result.gap >= 0);
  for (const move of result.moves) {
    check.is(move.source, 'a');
    check.is(move.target, 'b');
    check.ok(move.gain > move.cost && move.cost > 0);
    check.is(move.startSlot, 0);
  }
});

/** On b nothing fits beside m, which hardly works: room for p there costs a move that is worth nothing by itself. Far from it x is hot. */
const crowded = (bytesOfM = 1e9): Tree => {
  const own = (id: string, owner: string, cpu: number, io: number, sizeBytes = 1e9): Tree => ({
    id,
    node: owner,
    sizeBytes,
    load: { cpu, io },
  });
  return {
    slotSeconds: 24 * 3600,
    resources: { io: { weight: 0 } },
    rules: {
      pinned: [{ partitions: ['s'] }],
      zones: [
        { partitions: ['p', 'r', 'm', 's'], zones: ['near'] },
        { partitions: ['x', 'y'], zones: ['far'] },
      ],
    },
    nodes: ['a', 'b', 'c', 'd', 'e'].map((id) => ({
      id,
      zone: id < 'd' ? 'near' : 'far',
      capacity: { cpu: 10, io: 10 },
    })),
    partitions: [
      own('p', 'a', 4, 5),
      own('r', 'a', 4, 5),
      own('m', 'b', 0.1, 6, bytesOfM),
      own('s', 'c', 4, 1),
      own('x', 'd', 5, 1),
      own('y', 'd', 4, 1),
    ],
  };
};

/** What is left when the search suggests a map, by partition. */
async function planSuggesting(content: Tree, targets: Readonly<Record<string, string>>) {
  const named = makeInstance('test.json', content as unknown as PlanInstanceFile, SETTINGS);
  const ownerOf = Int32Array.from(named.partitionIds, (id, p) =>
    id in targets ? named.nodeIds.indexOf(targets[id] as string) : (named.instance.home[p] as number),
  );
  const found = await planInstance(named.instance, {
    optimiser: { name: 'fixed', optimise: () => Promise.resolve({ ownerOf, iterations: 1 }) },
    context: { random: seededRandom(1n) },
    benefitCostRatio: SETTINGS.benefitCostRatio,
    boundTolerance: 0,
    units: named.units,
  });
  return planResult(named, schedulePlan(named, found, SETTINGS), SETTINGS);
}

test('a move that only makes room says for whom, and what they are worth together', async () => {
  const { moves } = await planSuggesting(crowded(), { x: 'e', m: 'c', p: 'b' });
  check.equal(
    moves.map(({ partition: id, target }) => `${id} ${target}`),
    ['x e', 'm c', 'p b'],
    'the relief of x first: without it the map would be worse than the start after m',
  );
  const [x, m, p] = moves as [PlannedMove, PlannedMove, PlannedMove];
  check.ok(m.gain < m.cost, 'by itself it is a loss');
  check.equal(m.unit.partitions, ['m', 'p']);
  check.ok(
    m.unit.gain > SETTINGS.benefitCostRatio * m.unit.cost,
    'with the one that needed the room it pays',
  );
  check.ok(Math.abs(m.unit.cost - m.cost - p.cost) < 1e-12);
  check.ok(Math.abs(m.unit.gain - m.unit.cost - (x.costThen - p.costThen)) < 1e-9, 'they came last');
  check.equal(p.unit, { partitions: ['p'], gain: p.gain, cost: p.cost });
});

test('room that costs more than it is worth is not made', async () => {
  const suggested = { x: 'e', m: 'c', p: 'b' };
  const roomOf = async (bytes: number): Promise<PlannedMove> =>
    (await planSuggesting(crowded(bytes), suggested)).moves[1] as PlannedMove;
  const room = await roomOf(1e9);
  const { gain, cost } = room.unit;
  // So much larger that both together earn their price, and not as often as they have to.
  const perByte = ((await roomOf(2e9)).cost - room.cost) / 1e9;
  const bytes = 1e9 + (gain / 1.2 - cost) / perByte;
  const dear = await planSuggesting(crowded(bytes), suggested);
  check.ok(dear.moves.length > 0);
  check.not(dear.moves.some(({ partition: id }) => id === 'm' || id === 'p'));
});

test('the cost of the last map, and the cost over time, which knows when moves arrive', async () => {
  const late = await plan(
    twoNodes({
      startTime: '2026-01-05T00:00:00Z',
      rules: { windows: ['daily 01:00-02:00'] },
    }),
  );
  check.ok(late.moves.length > 0 && late.moves.every(({ startSlot }) => startSlot === 1));
  check.ok(late.costOverTime > late.costAfter && late.costOverTime < late.costBefore);
  const once = await plan(crowded());
  check.is(once.costOverTime, once.costAfter, 'one slot: all begin in it');
  check.is(once.moves.at(-1)?.costThen, once.costAfter);
});

test('measured utilisation is not counted on top of the load of the partitions themselves', async () => {
  const background = await plan(
    twoNodes({ nodes: [node('a', { background: { cpu: [0.5, 0.25] } }), node('b')] }),
  );
  const utilisation = await plan(
    twoNodes({ nodes: [node('a', { utilisation: { cpu: [8.5, 10.25] } }), node('b')] }),
  );
  check.equal(utilisation, background);
});

test('the same seed gives the same plan, and a time limit ends a search', async () => {
  check.equal(await plan(twoNodes(), 'anneal', 5), await plan(twoNodes(), 'anneal', 5));
  const named = makeInstance('test.json', twoNodes() as unknown as PlanInstanceFile, SETTINGS);
  const start = performance.now();
  const limited = await planNamed(named, { seed: 1, seconds: 0.3 }, { ...SETTINGS, optimizer: 'anneal' });
  check.ok(limited.costAfter < limited.costBefore);
  const took = performance.now() - start;
  check.ok(took >= 300 && took < 5000, `the time asked for is used: ${took} ms`);
});

test('a mistake in the file is refused with its place', async () => {
  const good = twoNodes();
  const [p, q] = good.partitions as [Tree, Tree];
  const cases: readonly [name: string, content: unknown, message: RegExp][] = [
    ['no JSON', '{ "nodes": [', /instance\.json: is not JSON/],
    ['no object', '[]', /the file is \[\], and must be an object of nodes/],
    ['an empty cluster', { ...good, nodes: [] }, /nodes is \[\], and must be a list of nodes, at least one/],
    ['an unknown node', { ...good, partitions: [{ ...p, node: 'z' }] }, /partitions\[0\]\.node names "z"/],
    [
      'two nodes of one id',
      { ...good, nodes: [node('a'), node('a')] },
      /nodes\[1\]\.id is "a", as nodes\[0\]\.id/,
    ],
    [
      'two partitions of one id',
      { ...good, partitions: [p, q, p] },
      /partitions\[2\]\.id is "p", as partitions\[0\]/,
    ],
    [
      'a negative load',
      { ...good, partitions: [partition('p', 'a', [1, -1])] },
      /partitions\[0\]\.load\.cpu.* must be .*0 or more/,
    ],
    [
      'a load that is null, as NaN is in JSON',
      { ...good, partitions: [partition('p', 'a', [1, Number.NaN])] },
      /load\.cpu/,
    ],
    [
      'a capacity of 0',
      { ...good, nodes: [node('a', { capacity: { cpu: 0, memory: 1 } })] },
      /nodes\[0\]\.capacity\.cpu is 0, and must be a number above 0, 1e-60 to 1e60/,
    ],
    [
      'a load beyond all bounds',
      { ...good, partitions: [partition('p', 'a', 1e200)] },
      /partitions\[0\]\.load\.cpu is 1e\+200, and must be .* a number, 0 or more/,
    ],
    [
      'a capacity that is missing',
      { ...good, nodes: [node('a'), node('b', { capacity: { cpu: 1 } })] },
      /nodes\[1\]\.capacity\.memory is missing/,
    ],
    [
      'a resource that no node has',
      { ...good, partitions: [partition('p', 'a', 1, { load: { gpu: 1 } })] },
      /partitions\[0\]\.load names resource "gpu"/,
    ],
    [
      'lists of two lengths',
      { ...good, partitions: [p, partition('q', 'a', [1, 2, 3])] },
      /partitions\[1\]\.load\.cpu has 3 slots, partitions\[0\]\.load\.cpu has 2/,
    ],
    [
      'an upper bound below the mean',
      { ...good, partitions: [partition('p', 'a', 2, { upper: { cpu: 1 } })] },
      /instance\.json: partitions\[0\]\.upper\.cpu is 1 in slot 0, below its load of 2/,
    ],
    ['an unknown field', { ...good, slots: 3 }, /unknown "slots"/],
    [
      'a time that is none',
      { ...good, startTime: 'monday' },
      /startTime is "monday", and must be the time slot 0 begins/,
    ],
    [
      'background and utilisation',
      { ...good, nodes: [node('a', { background: { cpu: 1 }, utilisation: { cpu: 1 } }), node('b')] },
      /nodes\[0\] has both/,
    ],
    [
      'a rule about nobody',
      { ...good, rules: { pinned: [{ partitions: ['z'] }] } },
      /rules\.pinned\[0\]\.partitions names "z"/,
    ],
    [
      'a window that is none',
      { ...good, startTime: '2026-01-05T00:00:00Z', rules: { windows: ['daily 01:00-05:00', 'noon'] } },
      /instance\.json: rules\.windows\[1\] is "noon", and must be such as/,
    ],
    [
      'a zone of no node',
      { ...good, rules: { zones: [{ partitions: ['p'], zones: ['east'] }] } },
      /instance\.json: rules\.zones\[0\]\.zones names "east", the zone of no node/,
    ],
    ['no cost at all', { ...good, resources: { cpu: { weight: 0 } } }, /no resource has a weight above 0/],
  ];
  for (const [name, content, message] of cases) {
    const error = await refusalOf(content);
    check.match(error.message, message, name);
    check.match(error.message, /^\S+instance\.json: /, name);
    check.is(error.code, 'FORESHARD_CONFIG', name);
  }
});

test('mistakes of all parts of a file are told at once', async () => {
  const error = await refusalOf({
    ...twoNodes(),
    partitions: [
      partition('p', 'y', 2, { upper: { cpu: 1 } }),
      partition('q', 'z', [1, 2], { load: { gpu: 1 } }),
    ],
    rules: { pinned: [{ partitions: ['r'], node: 's' }], windows: ['noon'] },
  });
  for (const part of [
    /partitions\[0\]\.node names "y"/,
    /partitions\[1\]\.node names "z"/,
    /rules\.windows are times of the week/,
    /rules\.windows\[0\] is "noon"/,
    /rules\.pinned\[0\]\.partitions names "r"/,
    /rules\.pinned\[0\]\.node names "s"/,
    /partitions\[1\]\.load names resource "gpu"/,
    /partitions\[0\]\.upper\.cpu is 1 in slot 0/,
  ])
    check.match(error.message, part);
});

test('a file that is not there, and a folder, are refused as by the other commands', async () => {
  await withTemporaryFolder(async (folder) => {
    for (const [file, message] of [
      [join(folder, 'none.json'), /none\.json: there is no such file/],
      [folder, /is a folder: name a file/],
    ] as const)
      try {
        await readPlanInstance(file);
        check.unreachable(file);
      } catch (error) {
        check.match((error as Error).message, message);
        check.is((error as ForeshardError).code, 'FORESHARD_CONFIG');
      }
  });
});

test('rules that cannot all hold are named, and those that have no part in it are not', async () => {
  const zoned = twoNodes({ nodes: [node('a', { zone: 'east' }), node('b', { zone: 'west' })] });
  const cases: readonly [rules: Tree, message: RegExp][] = [
    [
      {
        pinned: [{ partitions: ['s'] }, { partitions: ['p'], node: 'b' }],
        forbidden: [
          { partitions: ['q'], nodes: ['a'] },
          { partitions: ['p'], nodes: ['b'] },
        ],
      },
      /these rules cannot all hold: rules\.pinned\[1\] \("p" on "b"\) and rules\.forbidden\[1\] \("p" not on "b"\)\./,
    ],
    [
      {
        zones: [
          { partitions: ['p'], zones: ['east'] },
          { partitions: ['q'], zones: ['west'] },
        ],
        together: [{ partitions: ['p', 'q'] }],
      },
      /rules\.zones\[0\] \("p" only in east\) and rules\.zones\[1\] \("q" only in west\) and rules\.together\[0\] \("p", "q" together\)/,
    ],
    [
      { apart: [{ partitions: ['p', 'q', 'r'] }] },
      /rules\.apart\[0\] \("p", "q", "r" apart\) cannot hold on these 2 nodes/,
    ],
    [
      { apart: [{ partitions: ['p', 'q'], zonesMin: 3 }] },
      /rules\.apart\[0\] \("p", "q" apart, in 3 zones\) cannot hold/,
    ],
    [
      {
        apart: [{ partitions: ['p', 'q'] }],
        together: [{ partitions: ['q', 'r'] }, { partitions: ['r', 'p'] }],
      },
      /rules\.apart\[0\].*rules\.together\[0\].*rules\.together\[1\]/,
    ],
    [
      { apart: [{ partitions: ['p', 'q'] }], pinned: [{ partitions: ['p', 'q'] }] },
      /rules\.pinned\[0\].*rules\.apart\[0\]/,
    ],
  ];
  for (const [rules, message] of cases) {
    const error = await refusalOf({ ...zoned, rules });
    check.is(error.code, 'FORESHARD_CONFIG');
    check.match(error.message, message);
    check.match(error.message, /instance\.json: /);
  }
});

test('a partition too large for any node is named, and the rest is planned all the same', async () => {
  const huge = partition('huge', 'b', [25, 30]);
  const content = twoNodes({ nodes: [node('a'), node('b'), node('c')] });
  const result = await plan({ ...content, partitions: [...(content.partitions as Tree[]), huge] });
  check.equal(
    result.oversized.map(({ partition: id, resource, slot }) => [id, resource, slot]),
    [['huge', 'cpu', 0]],
  );
  check.ok(result.oversized[0]!.utilisation > 2.5);
  check.ok(result.costAfter < result.costBefore, 'what lay on the hot nodes has gone to the idle one');
  check.not(
    result.moves.some(({ target }) => target === 'b'),
    'a node above its capacity may only fall',
  );
});

test('one node, no partition, more nodes than partitions: nothing to do is said, or a sound plan made', async () => {
  const alone = await plan(twoNodes({ nodes: [node('a')], partitions: [partition('p', 'a', [4, 5])] }));
  check.equal(alone.moves, []);
  check.is(alone.refusal, 'near-bound');
  const empty = await plan(twoNodes({ partitions: [] }));
  check.equal(empty.moves, []);
  check.is(empty.costAfter, 0);
  const wide = await plan({
    slotSeconds: 3600,
    nodes: Array.from({ length: 500 }, (_, n) => node(`n${n}`)),
    partitions: [partition('p', 'n0', [4, 4]), partition('q', 'n0', [4, 4])],
  });
  check.is(wide.moves.length, 1);
  check.is(wide.costAfter, Math.min(wide.costAfter, wide.costBefore));
});

test('16,384 partitions on two nodes are planned in seconds, by every rule', async () => {
  const count = 16_384;
  const content = {
    slotSeconds: 3600,
    nodes: [
      node('a', { capacity: { cpu: 100, memory: 1e6 } }),
      node('b', { capacity: { cpu: 100, memory: 1e6 } }),
    ],
    partitions: Array.from({ length: count }, (_, p) =>
      partition(`p${p}`, p % 4 === 0 ? 'b' : 'a', (100 * (1 + (p % 7))) / (4 * count), {
        sizeBytes: 1e6,
      }),
    ),
    rules: { movesMax: 300 },
  };
  const start = performance.now();
  // Each carries next to nothing: none would earn the price of an attended move.
  const result = await plan(content, 'anneal', 1, { ...SETTINGS, moveFixedIndexHours: 0 });
  check.ok(performance.now() - start < 20_000);
  check.ok(result.moves.length > 0 && result.moves.length <= 300, `${result.moves.length} moves`);
  check.ok(result.costAfter < result.costBefore);
});

test('a move begins in a window and before its load, one copy after the other; what comes too late is told', async () => {
  const day = (peakSlot: number, peak: number): number[] =>
    Array.from({ length: 24 }, (_, t) => (Math.abs(t - peakSlot) <= 3 ? peak : 1));
  const content = (changes: Tree = {}): Tree => ({
    slotSeconds: 3600,
    startTime: '2026-01-05T00:00:00Z',
    bandwidthBytesPerSecond: 1e8,
    nodes: [node('a'), node('b')],
    partitions: [partition('p', 'a', day(16, 4)), partition('q', 'a', day(16, 4)), partition('r', 'a', 1)],
    ...changes,
  });
  const free = await plan(content());
  check.is(free.leftOut.length, 0);
  const starts = free.moves.map(({ startSlot }) => startSlot);
  check.ok(starts.length > 0 && starts.every((slot) => slot < 13), `${starts}`);
  const windowed = await plan(content({ rules: { windows: ['mon 04:00-06:00'] } }));
  check.ok(windowed.moves.length > 0);
  check.ok(windowed.moves.every(({ startSlot }) => startSlot === 4 || startSlot === 5));
  const late = await plan(content({ rules: { windows: ['mon 22:00-24:00'] } }));
  check.equal(late.moves, []);
  check.is(late.refusal, 'no-time');
  check.ok(late.leftOut.every(({ code }) => code === 'gain-too-late') && late.leftOut.length > 0);
  check.is(late.costAfter, late.costBefore);
});

test('what pays and may not be done is listed with the code of its rule', async () => {
  const rules: readonly [string, Tree, Tree?][] = [
    ['pinned', { rules: { pinned: [{ partitions: ['p', 'q', 'r', 's'] }] } }],
    ['forbidden', { rules: { forbidden: [{ partitions: ['p', 'q', 'r'], nodes: ['b'] }] } }],
    [
      'zone',
      {
        nodes: [node('a', { zone: 'x' }), node('b')],
        rules: { zones: [{ partitions: ['p', 'q', 'r'], zones: ['x'] }] },
      },
    ],
    ['budget-moves', { rules: { movesMax: 0 } }],
    ['budget-bytes', { rules: { bytesMovedMax: 1e6 } }],
    ['node-moves', { rules: { nodeMovesMax: 0 } }],
    ['bytes', { nodes: [node('a'), node('b', { freeBytes: 1e6 })] }],
    ['capacity', { nodes: [node('a'), node('b', { capacity: { cpu: 10, memory: 7 } })] }],
    [
      'node-down',
      {
        nodes: [node('a'), node('b', { isDraining: true })],
        partitions: ['p', 'q', 'r'].map((id) => partition(id, 'a', [3, 3])),
      },
    ],
    [
      'dirty-rate',
      {
        bandwidthBytesPerSecond: 1e6,
        partitions: ['p', 'q', 'r'].map((id) => partition(id, 'a', [3, 3], { dirtyBytesPerSecond: 2e6 })),
      },
    ],
  ];
  for (const [code, changes] of rules) {
    const result = await plan(twoNodes(changes));
    check.equal(result.moves, [], code);
    check.ok(result.blocked.length > 0, code);
    check.ok(
      result.blocked.every(({ refusal, gain }) => refusal === code && gain > 0),
      `${code}: ${JSON.stringify(result.blocked)}`,
    );
  }
});

test('a node that is not drained is named, with what stays on it and why', async () => {
  const draining = [node('a', { isDraining: true }), node('b', { freeBytes: 1e6 })];
  const stuck = await plan(twoNodes({ nodes: draining, startTime: '2026-01-05T00:00:00Z' }));
  check.equal(stuck.notDrained, [
    { node: 'a', partitions: ['p', 'q', 'r'].map((id) => ({ id, refusal: 'bytes' })) },
  ]);
  const roomy = await plan(
    twoNodes({
      nodes: [draining[0], node('b', { capacity: { cpu: 100, memory: 100 } })],
      startTime: '2026-01-05T00:00:00Z',
    }),
  );
  check.equal(roomy.notDrained, []);
  check.is(roomy.moves.length, 3);
  for (const { reason, startTime, startSlot } of roomy.moves) {
    check.match(reason, /^a is to be drained: /);
    check.is(startTime, new Date(Date.UTC(2026, 0, 5, startSlot)).toISOString());
  }
});

test.run();
