import { suite } from 'uvu';
import * as check from 'uvu/assert';
import {
  decodeQueryClusters,
  encodeQueryClusters,
  publishedClusters,
} from '../../../../plugin/host/records/query-clusters-record.ts';
import {
  decodeQueryHours,
  encodeQueryHours,
  PUBLISHED_HOURS_TYPES_MAX,
  type PublishedHours,
  packHours,
  unpackHours,
} from '../../../../plugin/host/records/query-hours-record.ts';
import {
  decodeQueryTypes,
  encodeQueryTypes,
  PUBLISHED_LIMITS,
} from '../../../../plugin/host/records/query-types-record.ts';
import { ForeshardError } from '../../../../src/base/errors.ts';

const test = suite('published query types');
const ABOUT = { atMs: 1e12, windowMs: 3_600_000, halfLifeWindows: 168, droppedCount: 1e9 };

test('the largest record there can be fits a value of the metadata store', () => {
  const recentCount = 12_345_678_901 / 3;
  // Every character is escaped.
  const template = (number: number): string => `${'"'.repeat(62)}${String(number).padStart(2, '0')}`;
  const record = encodeQueryTypes(
    {
      types: Array.from({ length: PUBLISHED_LIMITS.typesMax }, (_, i) => ({
        template: template(i),
        share: 1 / 3,
        recentCount,
        totalCount: 1e15,
        partitions: Array.from({ length: PUBLISHED_LIMITS.partitionsMax }, () => ({
          partitionId: 16_383,
          recentCount,
          lift: 1 / 3,
        })),
        partitionCount: 16_384,
        clients: Array.from({ length: PUBLISHED_LIMITS.clientsMax }, () => ({
          client: 'query-65535/2147483647',
          recentCount,
          lift: 1 / 3,
        })),
        clientCount: 65_536,
      })),
      typeCount: 65_536,
      recentCount,
      totalCount: 1e15,
      forgottenCount: recentCount,
    },
    new Map(
      Array.from({ length: PUBLISHED_LIMITS.typesMax }, (_, i) => [
        template(i),
        Array.from({ length: 1000 }, () => ({ nodeId: 9999, recentCount, lift: 1 / 3 })),
      ]),
    ),
    ABOUT,
  );
  check.ok(record.length < 65_536, `${record.length} bytes`);
  check.is(decodeQueryTypes('key', record).types[63]?.clients[3]?.[0], 'query-65535/2147483647');
});

const HOURS = Float64Array.from({ length: 168 }, (_, hour) => hour / 3);

test('the largest records of hours and of clusters fit, too', () => {
  const types = Array.from({ length: PUBLISHED_HOURS_TYPES_MAX + 1 }, () => ({
    template: '"'.repeat(64),
    hours: HOURS,
  }));
  const hours = encodeQueryHours(types, {
    atMs: 1e12,
    windowMs: 1e9,
    halfLifeMs: 1e10,
    watched: '1'.repeat(168),
  });
  check.ok(hours.length < 65_536, `${hours.length} bytes`);

  const name = '"'.repeat(48);
  const view = {
    clusters: Array.from({ length: 64 }, () => ({
      name,
      share: 1 / 3,
      templates: Array.from({ length: 1024 }, () => '"'.repeat(64)),
      hours: HOURS,
    })),
    events: Array.from({ length: 64 }, () => ({
      kind: 'appeared' as const,
      atMs: 1e12,
      name,
      otherName: name,
    })),
  };
  const pair = {
    row: 16_383,
    column: 16_382,
    count: 1e9 / 3,
    expected: 1,
    lift: 1e6 / 3,
    pValue: 0,
    qValue: 0,
  };
  const pairs = Array.from({ length: 256 }, () => pair);
  const coAccess = { together: pairs, sameClient: pairs, next: pairs, cutCount: 0 };
  const clusters = encodeQueryClusters(
    { shape: publishedClusters(view), terms: publishedClusters(view) },
    coAccess,
    { atMs: 1e12 },
  );
  check.ok(clusters.length < 65_536, `${clusters.length} bytes`);
  check.is(decodeQueryClusters('key', clusters).terms.clusterCount, 64);
});

test('hours come back as they went, to half a percent of the peak', () => {
  const record = encodeQueryHours([{ template: 't', hours: HOURS }], {
    atMs: 0,
    windowMs: 1,
    halfLifeMs: 1,
    watched: '',
  });
  const [type] = decodeQueryHours('key', record).types;
  const hours = unpackHours(type as PublishedHours);
  check.ok(HOURS.every((rate, h) => Math.abs(rate - (hours[h] as number)) <= 0.005 * (167 / 3)));
  check.equal(
    [...unpackHours(packHours({ template: 't', hours: new Float64Array(168) }))],
    new Array(168).fill(0),
  );
});

test('what is no record is refused by its key', () => {
  for (const text of ['', '{', '[]', '{"v":1,"types":[]}', '{"v":2}'])
    check.throws(
      () => decodeQueryTypes('/the/key', new TextEncoder().encode(text)),
      (error: unknown) =>
        error instanceof ForeshardError &&
        error.code === 'FORESHARD_CORRUPT' &&
        error.message.startsWith('/the/key'),
    );
});

test.run();
