import { randomBytes } from 'node:crypto';
import type { Command } from 'commander';
import { ForeshardError } from '../../../src/base/errors.ts';
import { silentLogger } from '../../../src/base/logger.ts';
import type { Leftover } from '../../../src/migration/leftovers.ts';
import { ControlReader, unlessRetired } from '../../../src/migration/records/controls.ts';
import type { PartitionRecord } from '../../../src/model/migration.ts';
import type { MetadataCondition, MetadataStore, MetadataWrite } from '../../../src/ports/metadata-store.ts';
import type { Settings } from '../../../src/settings.ts';
import type { MigrationTransport } from '../../engines/migration-agent/migration-transport.ts';
import { loadMap } from '../../metadata/cluster-map.ts';
import { recordCodec } from '../../metadata/record-codec.ts';
import {
  type HeldPartition,
  INVENTORY_OPERATION,
  parseInventory,
} from '../../node/storage/partition-inventory.ts';
import { withMetadata } from '../cluster-metadata.ts';
import {
  type CommonFlags,
  NODE_ID_MAX,
  noReason,
  REASON_FLAG,
  settingsOf,
  wholeNumber,
  withConfig,
  withJson,
} from '../flags.ts';
import { auditWrite } from '../migration/order.ts';
import { withNodes } from '../operator-transport.ts';
import { printJson, printLine } from '../output.ts';
import { assertEmbedded, noSuchNode } from '../what-is-there.ts';
import { whileOfficeIsFree } from './free-office.ts';
import { type NodesToAsk, nodesToAsk } from './nodes-to-ask.ts';
import { type FenceTarget, planResync, type StoreInventory } from './plan-resync.ts';

export interface ResyncOptions {
  readonly isConfirmed: boolean;
  readonly reason: string;
  /** Storage nodes that are gone for good: they need not answer. */
  readonly without: readonly number[];
}

/** Records of one commit: up to three conditions and a write each, the office and the audit; below the 128 operations of a transaction. */
const BATCH = 30;

interface Change {
  readonly partitionId: number;
  readonly conditions: readonly MetadataCondition[];
  readonly write: MetadataWrite;
}

interface ResyncFlags extends CommonFlags {
  readonly confirm?: boolean;
  readonly reason?: string;
  readonly without?: readonly number[];
}

export function addResyncCommand(program: Command): void {
  withJson(withConfig(program.command('resync')))
    .description('mend a map that was restored from a backup, by what all storage nodes hold')
    .option('--confirm', 'do it; left out, the command says what it would do')
    .option(...REASON_FLAG)
    .option(
      '--without <node>',
      'a storage node that is gone for good and need not answer, once for each; what is risked is said',
      (text: string, others: readonly number[] = []) => [
        ...others,
        wholeNumber('--without', 0, NODE_ID_MAX)(text),
      ],
    )
    .action(async (flags: ResyncFlags) => {
      const { settings } = await settingsOf(flags);
      assertEmbedded(settings, 'resync');
      const reason = flags.reason ?? '';
      if (flags.confirm === true && reason === '') throw noReason();
      await resyncCommand(
        settings,
        { isConfirmed: flags.confirm === true, reason, without: flags.without ?? [] },
        { isJson: flags.json === true },
      );
    });
}

/** `foreshard resync`. */
export async function resyncCommand(
  settings: Settings,
  options: ResyncOptions,
  { isJson }: { readonly isJson: boolean },
): Promise<void> {
  await withMetadata(settings, (metadata) =>
    withNodes(settings, metadata, async (transport) => {
      const lines = await resync(settings, { metadata, transport }, options);
      if (isJson) return printJson({ isConfirmed: options.isConfirmed, lines });
      for (const line of lines) printLine(line);
    }),
  );
}

/**
 * Brings a map that was restored from a backup in line with what the stores of all storage nodes say. Without `isConfirmed` it
 * only says what it would do.
 *
 * @returns lines to tell.
 * @throws ForeshardError FORESHARD_CONFIG for a node of `without` that there is not, FORESHARD_UNAVAILABLE while a storage node does not answer: what it owns is not known; FORESHARD_CONFLICT
 * while a coordinator runs, and when a record has changed meanwhile.
 */
export async function resync(
  { cluster }: { readonly cluster: Pick<Settings['cluster'], 'name' | 'storageNodeCount'> },
  { metadata, transport }: { readonly metadata: MetadataStore; readonly transport: MigrationTransport },
  { isConfirmed, reason, without }: ResyncOptions,
): Promise<string[]> {
  const codec = recordCodec(cluster.name);
  const loaded = await loadMap(metadata, cluster.name);
  const asked = await nodesToAsk(metadata, cluster, loaded);
  const stranger = without.find((nodeId) => !asked.nodeIds.includes(nodeId));
  if (stranger !== undefined) throw noSuchNode(stranger, asked.nodeIds);
  const givenUp = new Set(without);
  const { stores, silent } = await readStores(transport, asked, givenUp);
  // Read after the stores: what has been changed about a store by then is heeded, and what comes later fails the commit.
  const controls = await new ControlReader(metadata, codec, silentLogger).read();
  const lines = silent.map(
    (nodeId) =>
      `node ${nodeId} is passed over: what only its store has, also what it got after the backup, is lost where another becomes the owner`,
  );
  lines.push(
    ...loaded.quarantined.map(({ partitionId, why }) => `partition ${partitionId}: left as it is: ${why}`),
  );
  const changes: Change[] = [];
  const risks: string[] = [];
  for (const record of loaded.records) {
    if (!record) continue;
    const { partitionId } = record;
    const decision = planResync(record, stores, {
      nowMs: Date.now(),
      digestSeed: randomBytes(8).toString('hex'),
      targets: targetsOf(partitionId, asked.leftovers),
      without: givenUp,
    });
    if (decision.kind === 'right') continue;
    const ofStore =
      decision.kind === 'change' && unlessRetired(record, decision.record, controls, codec.keys);
    if (decision.kind === 'unclear' || !ofStore) {
      const why = decision.kind === 'unclear' ? decision.why : retiredText(decision.record);
      lines.push(`partition ${partitionId}: left as it is: ${why}`);
      continue;
    }
    lines.push(`partition ${partitionId}: ${decision.what}`);
    if (decision.risk !== null) risks.push(`partition ${partitionId}: AT RISK: ${decision.risk}`);
    const key = codec.keys.map(partitionId);
    changes.push({
      partitionId,
      conditions: [{ key, revisionIs: loaded.revisions[partitionId] as number }, ...ofStore],
      write: { kind: 'put', key, value: codec.encodePartition(decision.record) },
    });
  }
  lines.push(...risks);
  const total = `${changes.length} of ${loaded.records.length} records ${isConfirmed ? 'were' : 'would be'} changed`;
  if (changes.length === 0) return [...lines, total];
  if (!isConfirmed) return [...lines, `${total}: nothing was done, add --confirm --reason TEXT`];
  const passedOver =
    without.length === 0 ? '' : [`, without nodes ${without.join(' ')}`, ...risks].join('; ');
  await writeChanges(metadata, cluster.name, { changes, reason, passedOver });
  return [...lines, `${total}; storage nodes that waited for it serve within a second`];
}

async function writeChanges(
  metadata: MetadataStore,
  clusterName: string,
  order: { readonly changes: readonly Change[]; readonly reason: string; readonly passedOver: string },
): Promise<void> {
  const { changes, reason, passedOver } = order;
  const codec = recordCodec(clusterName);
  const office = await whileOfficeIsFree(metadata, clusterName);
  for (let done = 0; done < changes.length; done += BATCH) {
    const batch = changes.slice(done, done + BATCH);
    const partitions = batch.map(({ partitionId }) => partitionId).join(' ');
    const message = `${batch.length} records by what the stores say: partitions ${partitions}${passedOver}`;
    const { condition, writes } = done === 0 ? office.first : office.next;
    const result = await metadata.commit({
      conditions: [condition, ...batch.flatMap(({ conditions }) => conditions)],
      writes: [
        ...writes,
        ...batch.map(({ write }) => write),
        auditWrite(codec, { action: 'resync', partitionId: null, reason, message }),
      ],
    });
    if (!result.isCommitted)
      throw new ForeshardError(
        'FORESHARD_CONFLICT',
        're-read',
        `${result.failed.key} has changed meanwhile, ${done} records were written: stop all query nodes, then run it again`,
      );
  }
}

const retiredText = ({ ownerNodeId, ownerStoreId }: PartitionRecord): string =>
  `store ${ownerStoreId} of node ${ownerNodeId} says that it owns it, but was retired: nothing is given to it any more`;

/** Whom the clean-ups of a partition name as one that was to be filled. */
const targetsOf = (partitionId: number, leftovers: readonly Leftover[]): FenceTarget[] =>
  leftovers
    .filter((left) => left.partitionId === partitionId && left.cleanup.kind === 'staging')
    .map(({ migrationId, storeId, cleanup }) => ({ migrationId, storeId, nodeId: cleanup.nodeId ?? null }));

/** Asks also those who need not answer: one that does is alive, and what it says counts. */
async function readStores(
  transport: MigrationTransport,
  { nodeIds, excused }: NodesToAsk,
  givenUp: ReadonlySet<number>,
): Promise<{ readonly stores: StoreInventory[]; readonly silent: number[] }> {
  const silent: number[] = [];
  const answers = await Promise.all(
    [...new Set([...nodeIds, ...givenUp])].map(async (nodeId) => {
      try {
        return await readInventory(transport, nodeId);
      } catch (error) {
        const isSilent = error instanceof ForeshardError && error.code === 'FORESHARD_UNAVAILABLE';
        if (!isSilent || !(excused.has(nodeId) || givenUp.has(nodeId))) throw error;
        if (givenUp.has(nodeId)) silent.push(nodeId);
        return [];
      }
    }),
  );
  return { stores: answers.flat(), silent: silent.sort((a, b) => a - b) };
}

async function readInventory(transport: MigrationTransport, nodeId: number): Promise<StoreInventory> {
  const held = new Map<number, HeldPartition>();
  try {
    for (let after = -1; ; ) {
      const { body } = await transport.request(nodeId, INVENTORY_OPERATION, { after });
      const { storeId, nextAfter, partitions } = parseInventory(body);
      for (const partition of partitions) held.set(partition.partitionId, partition);
      if (nextAfter === null) return { nodeId, storeId, held };
      after = nextAfter;
    }
  } catch (cause) {
    if (!(cause instanceof ForeshardError) || cause.code === 'FORESHARD_CORRUPT') throw cause;
    throw new ForeshardError(
      'FORESHARD_UNAVAILABLE',
      'retry',
      `storage node ${nodeId} does not say what it holds, so nothing was done: start it (it waits for this command), then try again; of one that is gone for good: --without ${nodeId}: ${cause.message}`,
      { cause },
    );
  }
}
