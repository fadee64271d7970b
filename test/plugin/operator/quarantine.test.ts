import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { loadSettings } from '../../../plugin/host/config/config.ts';
import { loadMap } from '../../../plugin/metadata/cluster-map.ts';
import { openEmbeddedMetadata } from '../../../plugin/metadata/embedded.ts';
import { bootstrapCluster } from '../../../plugin/metadata/form-cluster.ts';
import { recordCodec } from '../../../plugin/metadata/record-codec.ts';
import { describeMap } from '../../../plugin/operator/map-command.ts';
import { clearQuarantine, describeQuarantine } from '../../../plugin/operator/quarantine-command.ts';
import type { MismatchEvidence } from '../../../src/migration/mismatch.ts';
import type { PartitionRecord } from '../../../src/model/migration.ts';
import { withTemporaryFolder } from '../../support/temporary-folder.ts';

const test = suite('the quarantine command');

const EVIDENCE: MismatchEvidence = {
  partitionId: 5,
  migrationId: 2,
  phase: 'VERIFY',
  atMs: 1_700_000_000_000,
  ownerNodeId: 0,
  copyNodeId: 1,
  lsn: 77,
  reason: 'verification failed: scans of owner and copy differ',
  suspectLaneCount: 2,
  listedLaneCount: 2,
  ownerEntryCount: 40,
  copyEntryCount: 39,
  differences: [
    { kind: 'missing-on-copy', keyPrefix: 'user:7', keyHash: '0badcafe', ownerValue: 'aa', copyValue: '' },
  ],
  differenceCount: 30,
  limits: 'the first 1 differences',
};

test('a partition in quarantine is shown with the keys that differ, and cleared', async () => {
  await withTemporaryFolder(async (folder) => {
    const file = join(folder, 'foreshard.config.json');
    writeFileSync(
      file,
      JSON.stringify({ cluster: { partitionCount: 16 }, metadata: { path: join(folder, 'm') } }),
    );
    const { settings } = await loadSettings({ file, folder, environment: {} });
    const metadata = openEmbeddedMetadata({ path: join(folder, 'm') });
    await bootstrapCluster(metadata, 'main', {
      partitionCount: 16,
      nodes: [0, 1].map((nodeId) => ({ nodeId, storeId: `store-${nodeId}` })),
    });
    const codec = recordCodec('main');
    const before = (await loadMap(metadata, 'main')).records[5] as PartitionRecord;
    const quarantine = { sinceMs: EVIDENCE.atMs, untilMs: null, migrationId: 2, reason: EVIDENCE.reason };
    await metadata.commit({
      conditions: [],
      writes: [
        { kind: 'put', key: codec.keys.map(5), value: codec.encodePartition({ ...before, quarantine }) },
        { kind: 'put', key: codec.keys.evidence(5, 2), value: codec.encodeEvidence(EVIDENCE) },
      ],
    });

    const shown = await printed(() => describeQuarantine(settings, { isJson: false }));
    check.match(shown, /^1 partition in quarantine\npartition 5: since 2023-11-14.*--clear 5/);
    check.match(shown, '"user:7" #0badcafe: missing on the copy (owner aa, copy -)');
    check.match(shown, 'and 29 more');
    const json = JSON.parse(await printed(() => describeQuarantine(settings, { isJson: true })));
    check.equal(json.quarantined[0].evidence, EVIDENCE);
    check.match(
      await printed(() => describeMap(settings, { isJson: false })),
      /partition 5: quarantined until it is cleared.*verification failed/,
    );

    check.match(
      await printed(() => clearQuarantine(settings, { partitionId: 5, reason: '', json: false })),
      'may be moved again',
    );
    check.equal((await loadMap(metadata, 'main')).records[5], before);
    check.match(
      await printed(() => clearQuarantine(settings, { partitionId: 5, reason: '', json: false })),
      'is not in quarantine',
    );
    check.match(
      await printed(() => describeQuarantine(settings, { isJson: false })),
      /^0 partitions in quarantine/,
    );
    await metadata.close();
  });
});

async function printed(command: () => Promise<void>): Promise<string> {
  const { write } = process.stdout;
  let text = '';
  process.stdout.write = ((chunk: string) => {
    text += chunk;
    return true;
  }) as typeof write;
  try {
    await command();
  } finally {
    process.stdout.write = write;
  }
  return text;
}

test.run();
