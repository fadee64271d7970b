import { suite } from 'uvu';
import * as check from 'uvu/assert';
import {
  type ClusterMember,
  OnlineClusters,
  SHAPE_CLUSTER_DEFAULTS,
} from '../../../../src/analyzer/patterns/online-clusters.ts';
import { termsOf, termVectors } from '../../../../src/analyzer/patterns/terms.ts';
import { seededRandom } from '../../../../src/base/random.ts';
import { testSeed } from '../../../support/seed.ts';

const test = suite('patterns/online-clusters');
const SEED = testSeed('patterns/online-clusters');
const random = seededRandom(SEED);

/** Queries around one hour of the day, with noise. */
function member(id: string, peakHour: number, weight = 100): ClusterMember {
  const vector = Float64Array.from({ length: 24 }, (_, hour) => {
    const distance = Math.min(Math.abs(hour - peakHour), 24 - Math.abs(hour - peakHour));
    return Math.exp(-(distance ** 2) / 8) + 0.1 * random.nextFloat();
  });
  return { id, vector, weight, terms: [id.split('-')[0] as string] };
}

const newClusters = (): OnlineClusters => new OnlineClusters(SHAPE_CLUSTER_DEFAULTS);
const membersOf = (clusters: OnlineClusters): Record<string, string[]> =>
  Object.fromEntries(clusters.clusters.map(({ name, memberIds }) => [name, [...memberIds]]));

test('what comes at the same hours is one cluster, named after the words of most of its queries', () => {
  const clusters = newClusters();
  const events = clusters.step(
    [
      member('cart-1', 9, 500),
      member('cart-2', 10),
      member('user-1', 9),
      member('batch-1', 21),
      member('batch-2', 22),
    ],
    1,
  );
  check.equal(membersOf(clusters), {
    'cart-user': ['cart-1', 'cart-2', 'user-1'],
    batch: ['batch-1', 'batch-2'],
  });
  check.equal(events.map(({ kind, name }) => `${name} ${kind}`).sort(), [
    'batch appeared',
    'cart-user appeared',
  ]);
});

test('names stay while clusters drift around the clock, change members, and the loudest member goes', () => {
  const clusters = newClusters();
  const day = Array.from({ length: 6 }, (_, i) => `day-${i}`);
  const night = Array.from({ length: 6 }, (_, i) => `night-${i}`);
  const at = (ids: readonly string[], hour: number): ClusterMember[] =>
    ids.map((id, i) => member(id, hour % 24, 100 + i));
  clusters.step([...at(day, 9), ...at(night, 21)], 0);
  for (let step = 1; step <= 24; step++) {
    // An hour later every step; each fourth step the oldest member of the day leaves and a new one comes.
    if (step % 4 === 0) day.splice(0, 1, `day-${step + 10}`);
    const events = clusters.step([...at(day, 9 + step), ...at(night, 21 + step)], step);
    check.equal(events, [], `step ${step}`);
  }
  const told = membersOf(clusters);
  check.equal(told.day, [...day].sort());
  check.equal(told.night, night);
});

test('the same members in another order give the same clusters', () => {
  const members = Array.from({ length: 30 }, (_, i) => member(`m${i}`, (i * 5) % 24, 1 + i));
  const [a, b] = [newClusters(), newClusters()];
  a.step(members, 0);
  b.step([...members].reverse(), 0);
  check.equal(a.clusters, b.clusters);
});

test('a split, a merger and a death are reported, with who comes from whom', () => {
  const clusters = newClusters();
  const ids = ['a-1', 'a-2', 'a-3', 'a-4', 'a-5'];
  clusters.step([...ids.map((id) => member(id, 9)), member('z-1', 15)], 0);
  check.equal(membersOf(clusters), { a: ids, z: ['z-1'] });

  const isSplitOff = (id: string): boolean => id === 'a-4' || id === 'a-5';
  const split = clusters.step(
    [...ids.map((id) => member(id, isSplitOff(id) ? 21 : 9)), member('z-1', 15)],
    1,
  );
  check.equal(split, [{ kind: 'split', atMs: 1, name: 'a-2', otherName: 'a' }]);
  check.equal(membersOf(clusters), { a: ['a-1', 'a-2', 'a-3'], 'a-2': ['a-4', 'a-5'], z: ['z-1'] });

  const merged = clusters.step([...ids.map((id) => member(id, 9)), member('z-1', 15)], 2);
  check.equal(merged, [{ kind: 'merged', atMs: 2, name: 'a-2', otherName: 'a' }]);

  const died = clusters.step(
    ids.map((id) => member(id, 9)),
    3,
  );
  check.equal(died, [{ kind: 'died', atMs: 3, name: 'z', otherName: null }]);
  check.equal(
    clusters.events.map(({ kind }) => kind),
    ['appeared', 'appeared', 'split', 'merged', 'died'],
  );
});

test('names outlive a restart where the members are still the same', () => {
  const before = newClusters();
  before.step([member('a-1', 9, 50), member('b-1', 9), member('b-2', 21)], 0);
  const after = newClusters();
  after.adopt(before.clusters);
  check.equal(after.step([member('a-1', 9, 999), member('b-1', 9), member('b-2', 21), member('c-1', 3)], 1), [
    { kind: 'appeared', atMs: 1, name: 'c', otherName: null },
  ]);
  for (const { name } of before.clusters)
    check.ok(
      after.clusters.some((cluster) => cluster.name === name),
      name,
    );
});

test('there are never more clusters than allowed, and events are bounded', () => {
  const clusters = new OnlineClusters({ ...SHAPE_CLUSTER_DEFAULTS, clustersMax: 3, eventsMax: 5 });
  for (let step = 0; step < 10; step++) {
    const members = Array.from({ length: 24 }, (_, hour) => member(`s${step}-${hour}`, hour));
    clusters.step(members, step);
    check.ok(clusters.clusters.length <= 3, `${clusters.clusters.length}`);
    check.is(new Set(clusters.clusters.flatMap(({ memberIds }) => memberIds)).size, 24, 'none is lost');
  }
  check.is(clusters.events.length, 5);
});

test('nothing to cluster is no error: no members, members without a shape or a query', () => {
  const clusters = newClusters();
  check.equal(clusters.step([], 0), []);
  const flat = { id: 'x', vector: new Float64Array(24), weight: 5, terms: [] };
  check.equal(clusters.step([flat, { ...member('y', 3), weight: 0 }], 1), []);
  check.equal(clusters.clusters, []);
});

test('texts about the same things are alike by their rare words, whatever is in all of them', () => {
  const texts = [
    'select * from users where id = ?',
    'update users set name = ? where id = ?',
    'select id from orders',
    'delete from orders where id = ?',
  ];
  const vectors = termVectors(texts.map((text) => termsOf('sql', text)));
  const cosine = (a: number, b: number): number => {
    const dot = (x: number, y: number): number =>
      (vectors[x] as Float64Array).reduce(
        (sum, value, i) => sum + value * ((vectors[y] as Float64Array)[i] as number),
        0,
      );
    return dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b));
  };
  check.ok(Math.min(cosine(0, 1), cosine(2, 3)) > 0.45, `${cosine(0, 1)} ${cosine(2, 3)}`);
  check.ok(Math.max(cosine(0, 2), cosine(1, 3)) < 0.3, `${cosine(0, 2)} ${cosine(1, 3)}`);
  check.equal(termsOf('command', 'HGET user:{n}:cart'), ['hget', 'user', 'cart']);
});

test.run();
