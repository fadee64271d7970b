import type { Clock } from '../../../src/base/clock.ts';
import type { Logger } from '../../../src/base/logger.ts';
import type { PartitionStore } from '../../../src/ports/partition-store.ts';
import type { CopyRates, NodeMigrationStatus } from '../../../src/ports/storage-engine.ts';
import type { AgentSettings } from './agent-settings.ts';
import type { OpenRecord } from './command-checks.ts';
import { CopyPacer } from './copy-pacer.ts';
import { pullUntilClosed } from './migration-pull.ts';
import type { MigrationSession } from './migration-session.ts';
import type { MigrationTransport } from './migration-transport.ts';

interface PullComponents {
  readonly store: PartitionStore;
  readonly transport: MigrationTransport;
  readonly clock: Clock;
  readonly logger: Logger;
  /** How late the event loop was, where that is measured. */
  readonly loopLagMs?: () => number;
}

/** The copies that this node fills: one pull a session, at rates that the coordinator changes while it runs. */
export class CopyPulls {
  readonly #settings: AgentSettings;
  readonly #components: PullComponents;
  readonly #pacers = new Map<MigrationSession, CopyPacer>();

  constructor(settings: AgentSettings, components: PullComponents) {
    this.#settings = settings;
    this.#components = components;
  }

  isRunning(session: MigrationSession): boolean {
    return this.#pacers.has(session);
  }

  setRates(session: MigrationSession, rates: CopyRates): void {
    this.#pacers.get(session)?.setRates(rates);
  }

  /** Of a pull that runs. */
  progressOf(session: MigrationSession): NodeMigrationStatus['copy'] {
    return this.#pacers.get(session)?.progress();
  }

  /** In the background, until the session closes or the copy fails: `session.failure` says why. */
  start(session: MigrationSession, record: OpenRecord, sourceNodeId: number, rates: CopyRates): void {
    const { store, transport, clock, logger, loopLagMs = () => 0 } = this.#components;
    const { pieceBytes, pieceBytesMin, pieceMsMax } = this.#settings;
    const pacer = new CopyPacer(
      rates,
      { bytesMin: pieceBytesMin, bytesMax: pieceBytes, tookMsMax: pieceMsMax },
      { clock, loopLagMs },
    );
    this.#pacers.set(session, pacer);
    const { partitionId, migrationId } = session;
    const options = {
      command: { partitionId: record.partitionId, migrationId, epoch: record.epoch },
      sourceNodeId,
      digestSeed: record.migration.digestSeed,
      partBytesMax: this.#settings.partBytesMax,
      logWaitMs: this.#settings.logWaitMs,
    };
    void pullUntilClosed(options, { store, transport, clock, logger, pacer, session })
      .catch((error) => {
        session.failure = String(error);
        logger.error({ partitionId, error: String(error) }, 'a copy ended by an error of our own');
      })
      .finally(() => this.#pacers.delete(session));
  }
}
