import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { QueryTypesPublisher } from '../../../../plugin/host/analysis/query-types-publisher.ts';
import { decodeQueryClusters } from '../../../../plugin/host/records/query-clusters-record.ts';
import { openEmbeddedMetadata } from '../../../../plugin/metadata/embedded.ts';
import { linesOfClusters } from '../../../../plugin/operator/queries/query-clusters-lines.ts';
import { QUERY_TYPE_DEFAULTS } from '../../../../src/analyzer/patterns/query-types.ts';
import type { ProfileSegment } from '../../../../src/analyzer/profile-segment.ts';
import { packAffinityCounts } from '../../../../src/model/affinity-matrix.ts';
import type { QueryRecord } from '../../../../src/model/query-log.ts';
import type { MetadataStore } from '../../../../src/ports/metadata-store.ts';
import { withTemporaryFolder } from '../../../support/temporary-folder.ts';

const test = suite('query types publisher');
const HOUR_MS = 3_600_000;
const START_MS = Date.UTC(2024, 0, 1);
const PARTITION_COUNT = 16;
const OWNER_OF = Array.from({ length: PARTITION_COUNT }, (_, partition) => partition >> 3);
const PREFIXES = { types: '/types/', hours: '/hours/', clusters: '/clusters/', hotKeys: '/hot/' };

const newPublisher = (metadata: MetadataStore): QueryTypesPublisher =>
  new QueryTypesPublisher(
    { ...QUERY_TYPE_DEFAULTS, windowMs: HOUR_MS, partitionCount: PARTITION_COUNT, queryNodeId: 10_000 },
    { metadata, prefixes: PREFIXES },
  );

/** By day users and carts, by night a batch. */
function segment(hour: number): ProfileSegment {
  const isDay = hour % 24 >= 8 && hour % 24 < 20;
  const templates = ['(other)', 'GET user:{n}', 'GET cart:{n}', 'SET batch:{n}'];
  const counts = isDay ? [0, 100, 50, 1] : [0, 5, 2, 80];
  const entries = [1, 2, 3].map((template) => ({
    template,
    partition: template,
    client: 0,
    count: counts[template] as number,
  }));
  return {
    startMs: START_MS + hour * HOUR_MS,
    windowMs: HOUR_MS,
    partitionCount: PARTITION_COUNT,
    values: new Float64Array(0),
    recordCount: 0,
    droppedCount: 0,
    lateCount: 0,
    affinity: packAffinityCounts(entries, {
      partitionCount: PARTITION_COUNT,
      templates,
      clients: ['(other)'],
    }),
  };
}

const part = (timeMs: number, partitionId: number): QueryRecord => ({
  timeMs,
  command: 'MGET',
  keyPrefix: 'key',
  keyHash: 1,
  partitionId,
  nodeId: 0,
  clientId: 1,
  latencyUs: 100,
  requestBytes: 10,
  replyBytes: 10,
  isWrite: false,
  outcome: 'ok',
});

test('clusters and co-access are published, and cluster names outlive two restarts in a row', async () => {
  await withTemporaryFolder(async (folder) => {
    const metadata = openEmbeddedMetadata({ path: folder });
    const read = async () => {
      const key = `${PREFIXES.clusters}10000`;
      return decodeQueryClusters(key, (await metadata.get(key))?.value ?? new Uint8Array());
    };
    const about = { droppedCount: 0, ownerOf: OWNER_OF };
    const first = newPublisher(metadata);
    await first.adoptNames();
    for (let i = 0; i < 200; i++) {
      for (const partition of [2, 12]) first.observe(part(START_MS + i * 2_000, partition));
      // Somebody else looks at all of them, one at a time.
      first.observe({ ...part(START_MS + i * 2_000, i % PARTITION_COUNT), command: 'GET', clientId: 2 });
      first.endBatch(START_MS + i * 2_000 + 1_000);
    }
    first.add(Array.from({ length: 72 }, (_, hour) => segment(hour)));
    await first.publish({ ...about, atMs: START_MS + 72 * HOUR_MS });
    const before = await read();
    check.equal(
      before.shape.clusters.map(({ templates }) => templates),
      [['GET user:{n}', 'GET cart:{n}'], ['SET batch:{n}']],
    );
    check.equal(
      before.together.map(([a, b]) => [a, b]),
      [[2, 12]],
    );
    const lines = linesOfClusters(before, OWNER_OF).join('\n');
    check.match(lines, /get-user-cart: \d+\.\d %, most at \w{3} \d\d:00 UTC: GET user:\{n\}; GET cart:\{n\}/);
    check.match(lines, /in one query: partitions 2 \(node 0\) and 12 \(node 1\): 200 times/);

    // A restart, and another before there is a day to make clusters of.
    const second = newPublisher(metadata);
    await second.adoptNames();
    second.add([segment(73)]);
    await second.publish({ ...about, atMs: START_MS + 74 * HOUR_MS });
    check.equal((await read()).shape, before.shape);
    const third = newPublisher(metadata);
    await third.adoptNames();
    third.add(Array.from({ length: 48 }, (_, hour) => segment(74 + hour)));
    await third.publish({ ...about, atMs: START_MS + 122 * HOUR_MS });
    const after = await read();
    check.equal(
      after.shape.clusters.map(({ name, templates }) => [name, templates]),
      before.shape.clusters.map(({ name, templates }) => [name, templates]),
    );
    check.equal(after.shape.events, []);
    await metadata.close();
  });
});

test.run();
