import type { Command } from 'commander';
import { ForeshardError } from '../../src/base/errors.ts';
import type { EntryDifference, MismatchEvidence } from '../../src/migration/mismatch.ts';
import { withoutQuarantine } from '../../src/migration/queue/quarantine.ts';
import type { MetadataStore } from '../../src/ports/metadata-store.ts';
import type { Settings } from '../../src/settings.ts';
import { loadMap } from '../metadata/cluster-map.ts';
import { decodeEvidence, recordCodec } from '../metadata/record-codec.ts';
import { withMetadata } from './cluster-metadata.ts';
import {
  type CommonFlags,
  noReason,
  PARTITION_ID_MAX,
  reasonText,
  settingsOf,
  wholeNumber,
  withConfig,
  withJson,
} from './flags.ts';
import { leftAlone } from './held-back.ts';
import { auditWrite } from './migration/order.ts';
import { printJson, printLine, printOutcome } from './output.ts';
import { asTime, counted } from './units-text.ts';
import { assertPartitions } from './what-is-there.ts';

/** Differences that are printed for people; `--json` prints all that were kept. */
const SHOWN_MAX = 20;
/** A coordinator at work may write the record between our reading and our commit. */
const CLEAR_ATTEMPTS = 5;

const MEANING: Readonly<Record<EntryDifference['kind'], string>> = {
  'missing-on-copy': 'missing on the copy',
  'extra-on-copy': 'on the copy alone',
  'other-value': 'another value',
  'other-expiry': 'another expiry',
};

interface QuarantineFlags extends CommonFlags {
  readonly clear?: number;
  readonly reason?: string;
}

export function addQuarantineCommand(program: Command): void {
  withJson(withConfig(program.command('quarantine')))
    .description('print the partitions that are not moved, why, and the keys in which two copies differed')
    .option(
      '--clear <partition>',
      'let the planner move this partition again',
      wholeNumber('--clear', 0, PARTITION_ID_MAX),
    )
    .option('--reason <text>', 'with --clear: why, for the audit', reasonText)
    .action(async ({ clear, json, reason, ...flags }: QuarantineFlags) => {
      const { settings } = await settingsOf(flags);
      if (clear === undefined) await describeQuarantine(settings, { isJson: json === true });
      else if (reason === undefined) throw noReason();
      else await clearQuarantine(settings, { partitionId: clear, reason, json: json === true });
    });
}

/** `foreshard quarantine`. */
export function describeQuarantine(
  settings: Settings,
  { isJson }: { readonly isJson: boolean },
): Promise<void> {
  return withMetadata(settings, async (metadata) => {
    const { name } = settings.cluster;
    const { records } = await loadMap(metadata, name);
    const found = await Promise.all(
      leftAlone(records).map(async (partition) => ({
        ...partition,
        evidence: await readEvidence(metadata, name, partition),
      })),
    );
    if (isJson) return printJson({ quarantined: found });
    printLine(`${counted(found.length, 'partition')} in quarantine`);
    for (const { partitionId, why, sinceMs, untilMs, evidence } of found) {
      const until =
        untilMs === null ? `until \`foreshard quarantine --clear ${partitionId}\`` : asTime(untilMs);
      printLine(`partition ${partitionId}: since ${asTime(sinceMs)}, ${until}: ${why}`);
      if (evidence) for (const line of evidenceLines(evidence)) printLine(line);
    }
  });
}

async function readEvidence(
  metadata: MetadataStore,
  clusterName: string,
  { partitionId, migrationId }: { readonly partitionId: number; readonly migrationId: number },
): Promise<MismatchEvidence | null> {
  const entry = await metadata.get(recordCodec(clusterName).keys.evidence(partitionId, migrationId));
  return entry ? decodeEvidence(entry.value) : null;
}

function evidenceLines(evidence: MismatchEvidence): string[] {
  const { ownerNodeId, copyNodeId, lsn, differences, differenceCount, limits } = evidence;
  const at = lsn === null ? '' : ` at lsn ${lsn}`;
  const compared = `${evidence.ownerEntryCount} and ${evidence.copyEntryCount} entries compared`;
  const lines = [
    `  owner node ${ownerNodeId}, copy on node ${copyNodeId}${at}: ${counted(differenceCount, 'key')} differ, ${compared}` +
      `${limits === '' ? '' : `; looked at: ${limits}`}`,
  ];
  for (const { kind, keyPrefix, keyHash, ownerValue, copyValue } of differences.slice(0, SHOWN_MAX)) {
    const name = `${keyPrefix === '' ? '' : `${JSON.stringify(keyPrefix)} `}${keyHash === '' ? '' : `#${keyHash}`}`;
    lines.push(
      `  ${name === '' ? 'a key' : name}: ${MEANING[kind]} (owner ${ownerValue || '-'}, copy ${copyValue || '-'})`,
    );
  }
  const left = differenceCount - Math.min(differences.length, SHOWN_MAX);
  if (left > 0) lines.push(`  and ${left} more`);
  return lines;
}

/** `foreshard quarantine --clear`. The evidence is kept. */
export function clearQuarantine(
  settings: Settings,
  {
    partitionId,
    reason,
    json,
  }: { readonly partitionId: number; readonly reason: string; readonly json: boolean },
): Promise<void> {
  return withMetadata(settings, async (metadata) => {
    await assertPartitions(metadata, settings.cluster.name, [partitionId]);
    const codec = recordCodec(settings.cluster.name);
    const key = codec.keys.map(partitionId);
    for (let attempt = 0; attempt < CLEAR_ATTEMPTS; attempt++) {
      const entry = await metadata.get(key);
      if (!entry)
        throw new ForeshardError(
          'FORESHARD_CORRUPT',
          'report',
          `the record of partition ${partitionId} is missing`,
        );
      const record = codec.decodePartition(partitionId, entry.value);
      const tell = (message: string, isCleared: boolean): void =>
        printOutcome(message, { json }, { partitionId, isCleared });
      if (!record.quarantine) return tell(`partition ${partitionId} is not in quarantine`, false);
      const why = record.quarantine.reason;
      const { isCommitted } = await metadata.commit({
        conditions: [{ key, revisionIs: entry.revision }],
        writes: [
          { kind: 'put', key, value: codec.encodePartition(withoutQuarantine(record)) },
          auditWrite(codec, {
            action: 'clear-quarantine',
            partitionId,
            reason,
            message: `it was: ${why}`,
          }),
        ],
      });
      if (isCommitted) return tell(`partition ${partitionId} may be moved again`, true);
    }
    throw new ForeshardError(
      'FORESHARD_CONFLICT',
      'retry',
      `the record of partition ${partitionId} changes all the time: try again`,
    );
  });
}
