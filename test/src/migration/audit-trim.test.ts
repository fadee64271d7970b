import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { recordCodec } from '../../../plugin/metadata/record-codec.ts';
import { VirtualClock } from '../../../src/base/clock.ts';
import { silentLogger } from '../../../src/base/logger.ts';
import { AuditTrimmer, type AuditTrimmerComponents } from '../../../src/migration/audit-trim.ts';
import { DEFAULT_MIGRATION_SETTINGS } from '../../../src/migration/settings.ts';
import type { MetadataWrite } from '../../../src/ports/metadata-store.ts';

const test = suite('trimming of the audit');

const codec = recordCodec('test');

test('the newest records of the audit are kept, the oldest go, a transaction at a time', async () => {
  const clock = new VirtualClock();
  let ids = Array.from({ length: 370 }, (_, i) => `${String(i).padStart(15, '0')}-a`);
  const components = {
    clock,
    logger: silentLogger,
    codec,
    metadata: { list: async () => ({ entries: ids.map((id) => ({ key: codec.keys.audit(id) })) }) },
    committer: {
      commit: async (_conditions: unknown, writes: readonly MetadataWrite[]) => {
        const deleted = new Set(writes.map(({ key }) => key));
        ids = ids.filter((id) => !deleted.has(codec.keys.audit(id)));
      },
    },
  } as unknown as AuditTrimmerComponents;
  const trimmer = new AuditTrimmer({ ...DEFAULT_MIGRATION_SETTINGS, auditRecordsMax: 250 }, components);
  const look = async (): Promise<number> => {
    trimmer.tick();
    await trimmer.settled();
    return ids.length;
  };
  check.is(await look(), 270);
  check.is(await look(), 270, 'not at every tick');
  clock.advanceTo(60_000);
  check.is(await look(), 250);
  clock.advanceTo(120_000);
  check.is(await look(), 250);
  check.equal([ids[0], ids.at(-1)], ['000000000000120-a', '000000000000369-a']);
});

test.run();
