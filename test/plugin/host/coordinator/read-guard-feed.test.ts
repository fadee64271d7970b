import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { ReadGuardFeed } from '../../../../plugin/host/coordinator/read-guard-feed.ts';
import { ReadReports } from '../../../../plugin/host/coordinator/read-reports.ts';
import { encodeReadReport, type MigrationReads } from '../../../../plugin/metadata/read-report.ts';
import { VirtualClock } from '../../../../src/base/clock.ts';
import { silentLogger } from '../../../../src/base/logger.ts';
import type { ReadVerdict } from '../../../../src/migration/reads/read-guard.ts';
import { DEFAULT_READ_GUARD } from '../../../../src/migration/reads/read-guard-settings.ts';
import type { OpenRecord } from '../../../../src/migration/step.ts';
import { asEpoch, asNodeId, asPartitionId } from '../../../../src/model/ids.ts';
import type { MetadataEntry } from '../../../../src/ports/metadata-store.ts';
import type { NodePressure, NodeStatistics } from '../../../../src/ports/storage-engine.ts';

const test = suite('read guard feed');
const SETTINGS = { ...DEFAULT_READ_GUARD, readsMin: 100, windowMs: 500, badWindowsMin: 1 };
const PREFIX = 'reads/';

const record = (migrationId: number, readWeight: number): OpenRecord => ({
  partitionId: asPartitionId(3),
  ownerNodeId: asNodeId(0),
  ownerStoreId: 's',
  epoch: asEpoch(1),
  ownedSinceMs: 0,
  migrationSeq: migrationId,
  migration: {
    migrationId,
    sourceNodeId: asNodeId(0),
    sourceStoreId: 's',
    targetNodeId: asNodeId(1),
    targetStoreId: 't',
    phase: 'SHIFT',
    phaseAtMs: 0,
    startedAtMs: 0,
    digestSeed: '0'.repeat(16),
    readWeight,
    notBeforeMs: 0,
    reason: '',
    attempt: 0,
  },
});

/** A metadata store of reports, and two nodes that say how busy they are. */
class World {
  readonly clock = new VirtualClock(1_000);
  readonly entries = new Map<string, Uint8Array>();
  pressures: (NodePressure | null)[] = [null, null];
  isReadable = true;
  #revision = 0;

  report(
    nodeId: number,
    change: Partial<{ reads: number; errors: number; unequal: number; migrationId: number }>,
  ) {
    const { reads = 0, errors = 0, unequal = 0, migrationId = 1 } = change;
    const side = { readCount: reads, errorCount: errors, latencyCounts: [reads - errors] };
    const migration: MigrationReads = {
      partitionId: 3,
      migrationId,
      openedAtMs: 5,
      readWeight: 0.5,
      source: { ...side, errorCount: 0 },
      target: { ...side, behindCount: 0 },
      shadow: { comparedCount: 7, unequalCount: unequal, skippedCount: 0, evidence: 'GET' },
    };
    this.entries.set(
      `${PREFIX}${nodeId}`,
      encodeReadReport({ v: 1, atMs: 0, migrations: [migration], nodes: [] }),
    );
  }

  feed(): ReadGuardFeed {
    return new ReadGuardFeed(SETTINGS, {
      clock: this.clock,
      logger: silentLogger,
      reports: new ReadReports({
        prefix: PREFIX,
        clock: this.clock,
        logger: silentLogger,
        metadata: {
          list: async () => {
            if (!this.isReadable) throw new Error('out of reach');
            const entries = [...this.entries].map(
              ([key, value]): MetadataEntry => ({
                key,
                value,
                revision: ++this.#revision,
                createRevision: 1,
              }),
            );
            return { entries, revision: this.#revision };
          },
        },
      }),
      engine: {
        nodeStatistics: async (nodeId) => {
          const pressure = this.pressures[nodeId];
          if (!pressure) throw new Error('silent');
          return { pressure } as NodeStatistics;
        },
      },
    });
  }

  /** The verdict of the next window. */
  next(feed: ReadGuardFeed, of = record(1, 0.5)): Promise<ReadVerdict> {
    this.clock.advanceTo(this.clock.monotonicMs() + SETTINGS.windowMs);
    return feed.verdictOf(of, 0);
  }
}

test('what several query nodes count is added up, and each count judged once', async () => {
  const world = new World();
  const feed = world.feed();
  world.report(10_000, { reads: 60, errors: 3 });
  world.report(10_001, { reads: 60, errors: 2 });
  check.is((await world.next(feed)).kind, 'red');
  check.is(feed.summaryOf(3, 1)?.targetErrorCount, 5);
  check.is(feed.summaryOf(3, 1)?.weightKnownCount, 2);
  check.is(feed.summaryOf(3, 2), null, 'of another migration nothing is known');
  world.report(10_000, { reads: 200, errors: 3 });
  check.is((await world.next(feed)).kind, 'green', 'the failed reads were in the window before');
});

test('between two windows the verdict stands, and nothing is asked', async () => {
  const world = new World();
  const feed = world.feed();
  check.is((await world.next(feed)).kind, 'green');
  world.report(10_000, { reads: 200, errors: 50 });
  check.is((await feed.verdictOf(record(1, 0.5), 0)).kind, 'green');
  check.is((await world.next(feed)).kind, 'red');
});

test('a coordinator that takes over knows of an unequal answer that came before it', async () => {
  const world = new World();
  world.report(10_000, { unequal: 1 });
  check.is((await world.next(world.feed())).kind, 'bad-copy');
  const next = await world.next(world.feed());
  check.match((next as { reason: string }).reason, /1 of 7 .*: GET/);
  world.report(10_000, { unequal: 1, migrationId: 2 });
  check.is((await world.next(world.feed())).kind, 'green', 'another migration’s copy is another copy');
});

test('a report that cannot be read, or a store out of reach, speaks neither for nor against the target', async () => {
  const world = new World();
  const feed = world.feed();
  world.report(10_000, { reads: 200, errors: 50 });
  world.entries.set(`${PREFIX}10001`, new TextEncoder().encode('{"v":1,"migrations":[{}]}'));
  check.is((await world.next(feed)).kind, 'red');
  world.isReadable = false;
  check.is((await world.next(feed)).kind, 'red', 'as before');
  world.isReadable = true;
  check.is((await world.next(feed)).kind, 'green');
});

test('the target’s load counts beside the source’s; a node that does not say is not waited for', async () => {
  const world = new World();
  const idle: NodePressure = { cpuShare: 0.1, loopLagMs: 1, commitMs: 2 };
  const feed = world.feed();
  world.pressures = [idle, { ...idle, commitMs: 500 }];
  check.is((await world.next(feed)).kind, 'green', 'asked for, not waited for');
  const second = await world.next(feed);
  check.match((second as { reason: string }).reason, /disk 500 ms/);
  world.pressures = [
    { ...idle, commitMs: 400 },
    { ...idle, commitMs: 500 },
  ];
  await world.next(feed);
  check.is((await world.next(feed)).kind, 'green', 'both disks are slow');
});

test.run();
