/** Storage nodes, query nodes and a coordinator in one process, over real stores and sockets: for reads in migrations. */
import { CLUSTER, MigrationCluster, QUICK_SETTINGS } from '../../bench/migration-cluster.ts';
import type { CopyReadFault } from '../../plugin/engines/lmdb/group-commit.ts';
import { emptyQueryNodeHooks, type QueryNodeHooks } from '../../plugin/hooks.ts';
import type { CopyReadLimits } from '../../plugin/node/query/copy-reads.ts';
import { type RunningQueryNode, startQueryNode } from '../../plugin/node/query/query-node.ts';
import { systemClock } from '../../src/base/clock.ts';
import { silentLogger } from '../../src/base/logger.ts';
import { DEFAULT_READ_GUARD } from '../../src/migration/reads/read-guard-settings.ts';
import type { MigrationSettings } from '../../src/migration/settings.ts';
import type { PartitionRecord } from '../../src/model/migration.ts';
import { keySlot } from '../../src/routing/key-slot.ts';

export const SHIFT_PARTITION = 3;
const PARTITION_COUNT = 16;
export const SOURCE = 0;
export const TARGET = 1;

/** Guards that judge quickly, and by what the test breaks alone: this machine may be slow in every other way. */
export const SHIFT_SETTINGS: MigrationSettings = {
  ...QUICK_SETTINGS,
  readWeightSteps: [0.5, 1],
  readWeightHoldMs: 200,
  readGuard: {
    ...DEFAULT_READ_GUARD,
    readsMin: 20,
    windowMs: 50,
    holdMs: 200,
    latencyMsMin: 60_000,
    behindShareMax: 1,
    errorShareMax: 1,
    cpuShareMax: 64,
    loopLagMsMax: 60_000,
    commitMsMax: 60_000,
    lagMax: 1e9,
  },
};

/** Keys of SHIFT_PARTITION, which node 0 owns at first. */
export function shiftKey(name: string | number): string {
  for (let i = 0; ; i++) {
    const tag = Buffer.from(`{t${i}}`);
    if (keySlot(tag, 0, tag.length) >> 10 === SHIFT_PARTITION) return `${tag}:${name}`;
  }
}

export class ShiftCluster {
  readonly migration: MigrationCluster;
  readonly queries: RunningQueryNode[] = [];
  readonly hooks: QueryNodeHooks = emptyQueryNodeHooks();

  private constructor(migration: MigrationCluster) {
    this.migration = migration;
  }

  static async open(
    settings: MigrationSettings,
    options: { readonly queryNodeCount?: number; readonly copyReads?: Partial<CopyReadLimits> } = {},
  ): Promise<ShiftCluster> {
    const cluster = new ShiftCluster(await MigrationCluster.open(2, settings));
    try {
      for (let i = 0; i < (options.queryNodeCount ?? 1); i++)
        cluster.queries.push(
          await startQueryNode(
            {
              clusterId: CLUSTER,
              nodeId: 10_000 + i,
              host: '127.0.0.1',
              port: 0,
              partitionCount: PARTITION_COUNT,
              storageNodeCount: 2,
              password: null,
              valueBytesMax: 1 << 20,
              clientConnectionsMax: 100,
              retryMs: 20_000,
              copyReads: { lateMs: 5_000, stalenessMs: 60_000, ...options.copyReads },
            },
            {
              clock: systemClock(),
              logger: silentLogger,
              metadata: cluster.migration.metadata,
              hooks: cluster.hooks,
              onHookFault: (hook, error) => {
                throw new Error(`hook ${hook} failed`, { cause: error });
              },
            },
          ),
        );
      return cluster;
    } catch (error) {
      await cluster.close();
      throw error;
    }
  }

  /** What reads at the target's copies meet. */
  set copyReadFault(fault: CopyReadFault | null) {
    const target = this.migration.nodes.get(TARGET);
    if (target) target.node.engine.requests.copyReadFault = fault;
  }

  /** Log entries come to the copy later by so much: it is behind by as many writes. */
  delayLog(delayMs: number): void {
    const hooks = this.migration.nodes.get(SOURCE)?.hooks;
    const handle = hooks?.replicate;
    if (!hooks || !handle) throw new Error('the source has no migration agent');
    hooks.replicate = async (operation, body) => {
      const reply = await handle(operation, body);
      if (operation === 'replicate.readLog') await new Promise((resolve) => setTimeout(resolve, delayMs));
      return reply;
    };
  }

  start(): Promise<void> {
    return this.migration.move(SHIFT_PARTITION, TARGET);
  }

  async record(): Promise<PartitionRecord> {
    const { records } = await this.migration.loadMap();
    return records[SHIFT_PARTITION] as PartitionRecord;
  }

  /** Waits for the record to be as claimed. */
  async until(
    claim: (record: PartitionRecord) => boolean,
    what: string,
    timeoutMs = 30_000,
  ): Promise<PartitionRecord> {
    const deadlineMs = performance.now() + timeoutMs;
    for (;;) {
      const record = await this.record();
      if (claim(record)) return record;
      if (performance.now() > deadlineMs)
        throw new Error(`not within ${timeoutMs} ms: ${what}; it is ${JSON.stringify(record.migration)}`);
      await new Promise((resolve) => setTimeout(resolve, 3));
    }
  }

  async close(): Promise<void> {
    for (const query of this.queries) await query.close();
    await this.migration.close();
  }
}
