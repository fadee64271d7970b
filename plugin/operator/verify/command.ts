import type { Command } from 'commander';
import { ForeshardError } from '../../../src/base/errors.ts';
import { asNodeId } from '../../../src/model/ids.ts';
import type { PartitionRecord } from '../../../src/model/migration.ts';
import type { MetadataStore } from '../../../src/ports/metadata-store.ts';
import type { Settings } from '../../../src/settings.ts';
import type { MigrationTransport } from '../../engines/migration-agent/migration-transport.ts';
import { RpcStorageEngine } from '../../engines/migration-agent/rpc-storage-engine.ts';
import { ClusterMapReader } from '../../metadata/cluster-map.ts';
import { parsePartitions } from '../approval/commands.ts';
import { withMetadata } from '../cluster-metadata.ts';
import { type CommonFlags, settingsOf, withConfig, withJson } from '../flags.ts';
import { withNodes } from '../operator-transport.ts';
import { printJson, printLine } from '../output.ts';
import { ProgressLine } from '../progress-line.ts';
import { EXIT_ALARMS } from '../status/status-command.ts';
import { counted } from '../units-text.ts';
import { assertEmbedded, assertPartitions } from '../what-is-there.ts';
import { inTurn, onceThere, type VerifiedPartition, verifyAsItStands } from './verify-partition.ts';

interface VerifyFlags extends CommonFlags {
  readonly all?: boolean;
  readonly progress?: boolean;
}

/** Of one partition: at a third of a core 300,000 entries of 200 bytes are a second. */
const READ_BACK_MS_MAX = 600_000;

export function addVerifyCommand(program: Command, exitWith: (code: number) => void): void {
  withJson(withConfig(program.command('verify')))
    .argument('[partitions...]', 'such as 3 7-9')
    .option('--all', 'all partitions')
    .option('--progress', 'tell on standard error how far it is, also where that is no terminal')
    .description(
      'read partitions back from the disks, and compare copies; exit code 3 if anything is not as it was written',
    )
    .action(async (partitions: string[], flags: VerifyFlags) => {
      if ((flags.all === true) === partitions.length > 0)
        throw usage('name partitions such as 3 7-9, or give --all');
      const { settings } = await settingsOf(flags);
      // Its masters are no nodes of ours: what is asked of them would be waited for until the time is up.
      assertEmbedded(settings, 'verify');
      const chosen = flags.all === true ? null : parsePartitions(partitions);
      await withMetadata(settings, async (metadata) => {
        await assertPartitions(metadata, settings.cluster.name, chosen);
        const map = new ClusterMapReader(metadata, settings.cluster.name);
        const { records, quarantined } = await map.load();
        const unreadable = new Set(quarantined.map(({ partitionId }) => partitionId));
        const wanted = chosen ?? records.map((_, partitionId) => partitionId);
        const lost = wanted.filter((id) => unreadable.has(id)).map(withoutRecord);
        const found = wanted.flatMap((id) => records[id] ?? []);
        await withPatientNodes(settings, metadata, async (transport) => {
          const nodes = inTurn(transport);
          const verify = (partitionId: number): Promise<VerifiedPartition> =>
            verifyAsItStands(() => recordOf(map, partitionId), nodes);
          const verified = [...(await verifyAll(found, verify, flags)), ...lost];
          tell(
            verified.sort((a, b) => a.partitionId - b.partitionId),
            flags,
          );
          if (verified.some(({ problems }) => problems.length > 0)) exitWith(EXIT_ALARMS);
        });
      });
    });
}

/** Nodes that are there are waited for while they read. */
const withPatientNodes = (
  settings: Settings,
  metadata: MetadataStore,
  use: (transport: MigrationTransport) => Promise<void>,
): Promise<void> =>
  withNodes(settings, metadata, (quick) => {
    const engine = new RpcStorageEngine(quick);
    const isThere = (nodeId: number): Promise<unknown> => engine.nodeStatistics(asNodeId(nodeId));
    const patient = (transport: MigrationTransport): Promise<void> => use(onceThere(isThere, transport));
    return withNodes(settings, metadata, patient, READ_BACK_MS_MAX);
  });

/** Owners work side by side, each at one partition. */
async function verifyAll(
  records: readonly PartitionRecord[],
  verify: (partitionId: number) => Promise<VerifiedPartition>,
  flags: VerifyFlags,
): Promise<VerifiedPartition[]> {
  const byOwner = new Map<number, PartitionRecord[]>();
  for (const record of records)
    byOwner.set(record.ownerNodeId, [...(byOwner.get(record.ownerNodeId) ?? []), record]);
  const progress = new ProgressLine(ProgressLine.optionsOf(flags));
  const verified: VerifiedPartition[] = [];
  try {
    await Promise.all(
      [...byOwner.values()].map(async (own) => {
        for (const record of own) {
          verified.push(await verify(record.partitionId));
          progress.update(() => `${verified.length} of ${counted(records.length, 'partition')} read back`);
        }
      }),
    );
  } finally {
    progress.end();
  }
  return verified;
}

/** Owners are asked for minutes: partitions move meanwhile. */
async function recordOf(map: ClusterMapReader, partitionId: number): Promise<PartitionRecord> {
  const record = await map.readPartition(partitionId);
  if (record === undefined)
    throw new ForeshardError(
      'FORESHARD_CORRUPT',
      'report',
      `the record of partition ${partitionId} is missing`,
    );
  return record;
}

const withoutRecord = (partitionId: number): VerifiedPartition => ({
  partitionId,
  ownerNodeId: -1,
  sides: [],
  problems: ['its record in the metadata store cannot be read (foreshard map)'],
  notes: [],
});

function tell(verified: readonly VerifiedPartition[], { json, all }: VerifyFlags): void {
  const wrong = verified.filter(({ problems }) => problems.length > 0);
  const rightCount = verified.length - wrong.length;
  if (json === true) {
    printJson({ rightCount, wrongCount: wrong.length, partitions: verified });
    return;
  }
  // Of all partitions of a cluster only what somebody has to look at, and the sum.
  for (const partition of verified) if (all !== true || !isPlain(partition)) tellOne(partition);
  const entries = verified.reduce((sum, { sides }) => sum + (sides[0]?.scanned.entryCount ?? 0), 0);
  const copies = verified.filter(({ sides }) => sides.length > 1).length;
  printLine(
    `${counted(verified.length, 'partition')}, ${entries === 1 ? '1 entry' : `${entries} entries`} read back, ${copies} with a copy beside: ${rightCount} right, ${wrong.length} wrong`,
  );
}

const isPlain = ({ problems, notes }: VerifiedPartition): boolean => problems.length + notes.length === 0;

function tellOne({ partitionId, sides, problems, notes }: VerifiedPartition): void {
  for (const problem of problems) printLine(`partition ${partitionId}: WRONG: ${problem}`);
  for (const { nodeId, role, epoch, lsn, scanned } of sides)
    printLine(
      `partition ${partitionId}: node ${nodeId} (${role.toLowerCase()}, epoch ${epoch}, lsn ${lsn}): ${scanned.entryCount} entries, ${scanned.sizeBytes} bytes, digest ${scanned.digest.slice(0, 16)}`,
    );
  for (const note of notes) printLine(`partition ${partitionId}: ${note}`);
}

const usage = (message: string): ForeshardError =>
  new ForeshardError('FORESHARD_CONFIG', 'fix-config', message);
