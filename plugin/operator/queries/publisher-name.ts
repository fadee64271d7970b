import type { MetadataStore } from '../../../src/ports/metadata-store.ts';
import type { Settings } from '../../../src/settings.ts';
import { capturePrefix } from '../../host/records/record-keys.ts';
import { orNothing } from '../../metadata/json-values.ts';
import { decodePulse } from '../../redis/pulse-record.ts';

/**
 * Who has published, by the id of its records: a query node, or beside a Redis Cluster a captured process, whose id is a number that
 * it has drawn, and whose pulse tells what it is called.
 */
export async function publisherNames(
  metadata: MetadataStore,
  { cluster, redis }: Settings,
): Promise<(publisherId: number) => string> {
  if (redis.nodes.length === 0) return (nodeId) => `query node ${nodeId}`;
  const prefix = capturePrefix(cluster.name);
  const { entries } = await metadata.list(prefix);
  const names = new Map(
    entries.flatMap(({ key, value }): [number, string][] =>
      orNothing(() => decodePulse(key, value)).map(({ application, host, pid }) => [
        Number(key.slice(prefix.length)),
        `captured application ${application} (process ${pid} at ${host})`,
      ]),
    ),
  );
  return (captureId) => names.get(captureId) ?? `captured application ${captureId}`;
}
