import { suite } from 'uvu';
import * as check from 'uvu/assert';
import {
  decodeQueryTypes,
  encodeQueryTypes,
  PUBLISHED_LIMITS,
} from '../../../plugin/host/query-types-record.ts';
import { ForeshardError } from '../../../src/base/errors.ts';

const test = suite('published query types');
const ABOUT = { atMs: 1e12, windowMs: 3_600_000, halfLifeWindows: 168, droppedCount: 1e9 };

test('the largest record there can be fits a value of the metadata store', () => {
  const recentCount = 12_345_678_901 / 3;
  const record = encodeQueryTypes(
    {
      types: Array.from({ length: PUBLISHED_LIMITS.typesMax }, () => ({
        // Every character is escaped.
        template: '"'.repeat(64),
        share: 1 / 3,
        recentCount,
        totalCount: 1e15,
        partitions: Array.from({ length: PUBLISHED_LIMITS.partitionsMax }, () => ({
          partitionId: 16_383,
          recentCount,
        })),
        partitionCount: 16_384,
        clients: Array.from({ length: PUBLISHED_LIMITS.clientsMax }, () => ({
          client: 'query-65535/2147483647',
          recentCount,
        })),
        clientCount: 65_536,
      })),
      typeCount: 65_536,
      recentCount,
      totalCount: 1e15,
      forgottenCount: recentCount,
    },
    ABOUT,
  );
  check.ok(record.length < 65_536, `${record.length} bytes`);
  check.is(decodeQueryTypes('key', record).types[63]?.clients[3]?.[0], 'query-65535/2147483647');
});

test('what is no record is refused by its key', () => {
  for (const text of ['', '{', '[]', '{"v":2,"types":[]}', '{"v":1}'])
    check.throws(
      () => decodeQueryTypes('/the/key', new TextEncoder().encode(text)),
      (error: unknown) =>
        error instanceof ForeshardError &&
        error.code === 'FORESHARD_CORRUPT' &&
        error.message.startsWith('/the/key'),
    );
});

test.run();
