import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { EventEffects } from '../../../../plugin/host/analysis/event-effects.ts';
import { openEmbeddedMetadata } from '../../../../plugin/metadata/embedded.ts';
import type { OccurrenceEffect } from '../../../../src/analyzer/seasons/occurrence.ts';
import { type Logger, silentLogger } from '../../../../src/base/logger.ts';
import type { MetadataStore } from '../../../../src/ports/metadata-store.ts';
import { withTemporaryFolder } from '../../../support/temporary-folder.ts';

const test = suite('event-effects');
const PREFIX = '/foreshard/v1/main/event-effects/';

const effect = (name: string, startMs: number, partitionCount = 4): OccurrenceEffect => ({
  name,
  kind: 'sale',
  startMs,
  byPhase: Float64Array.of(0.5, 1 / 3),
  byPartition: Float32Array.from({ length: partitionCount }, (_, p) => (p % 5) / 4 - 0.5),
  noiseVariance: 0.125,
  byDimension: { writeBytes: { byPhase: Float64Array.of(1, -0.25), noiseVariance: 0.5 } },
});

async function withMetadata(use: (metadata: MetadataStore) => Promise<void>): Promise<void> {
  await withTemporaryFolder(async (folder) => {
    const metadata = openEmbeddedMetadata({ path: folder });
    try {
      await use(metadata);
    } finally {
      await metadata.close();
    }
  });
}

test('effects come back as they were kept, also of 16,384 partitions and of names with odd characters', async () => {
  await withMetadata(async (metadata) => {
    const memory = new EventEffects({ metadata, prefix: PREFIX, logger: silentLogger });
    const kept = [effect('Sale', 1), effect(`Größe/50 % "${'x'.repeat(900)}"`, 2), effect('Wide', 3, 16_384)];
    for (const one of kept) await memory.keep(one);
    check.equal(await memory.load(), kept);
    for (const { value } of (await metadata.list(PREFIX)).entries) check.ok(value.length < 65_536);
    await memory.keep(effect('Sale', 1, 8));
    await memory.forget(kept[2] as OccurrenceEffect);
    check.equal(
      (await memory.load()).map(({ name, byPartition }) => [name.slice(0, 4), byPartition.length]),
      [
        ['Sale', 8],
        ['Größ', 4],
      ],
    );
  });
});

test('a record that cannot be read is told and left out, the others are used', async () => {
  await withMetadata(async (metadata) => {
    const warnings: unknown[] = [];
    const logger: Logger = { ...silentLogger, warn: (fields) => warnings.push(fields) };
    const memory = new EventEffects({ metadata, prefix: PREFIX, logger });
    await memory.keep(effect('Sale', 1));
    const write = (key: string, text: string) =>
      metadata.commit({
        conditions: [],
        writes: [{ kind: 'put', key: `${PREFIX}${key}`, value: new TextEncoder().encode(text) }],
      });
    await write('2/x', 'rubbish');
    await write('3/y', '{"v":1,"name":"A"}');
    check.equal(await memory.load(), [effect('Sale', 1)]);
    check.is(warnings.length, 2);
  });
});

test('an effect of an older version, which knows no dimensions, is read as it is', async () => {
  await withMetadata(async (metadata) => {
    const memory = new EventEffects({ metadata, prefix: PREFIX, logger: silentLogger });
    const { byDimension, ...older } = effect('Sale', 1);
    check.ok(byDimension !== undefined);
    await memory.keep(older);
    check.equal(await memory.load(), [older]);
  });
});

test.run();
