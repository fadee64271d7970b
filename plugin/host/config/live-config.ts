import { ForeshardError } from '../../../src/base/errors.ts';
import type { Logger } from '../../../src/base/logger.ts';
import type { Settings } from '../../../src/settings.ts';
import { flag, type Reading, reading } from '../../metrics/reading.ts';
import { changedSettings, needingRestart } from './changed-settings.ts';

export const RELOAD_OUTCOMES = ['applied', 'unchanged', 'refused', 'failed'] as const;
export type ReloadOutcome = (typeof RELOAD_OUTCOMES)[number];

/** What came of one reload. */
export interface ReloadReport {
  readonly outcome: ReloadOutcome;
  /** Settings that differ from those in force before, as paths: taken over where it was applied. */
  readonly changed: readonly string[];
  /** Of those, the ones for which nothing was taken over. */
  readonly needRestart: readonly string[];
  /** Why it was not applied; null where it was, or where there was nothing to apply. */
  readonly why: string | null;
}

export interface LiveConfigComponents {
  /** Reads all sources again. @throws ForeshardError FORESHARD_CONFIG as at the start. */
  readonly read: () => Promise<Settings>;
  /** @throws when they cannot be applied: the former ones are in force again then. */
  readonly apply: (settings: Settings, former: Settings) => Promise<void>;
  /** Resolves when what settings apply to is there. Who says so before is heard then: what is being opened has the settings of the start. */
  readonly whenOpen: Promise<void>;
  readonly logger: Logger;
}

/**
 * The settings of a running process, read again when somebody says so. All of what has changed is taken over, or nothing: a file
 * of which half is in force is described by nobody.
 */
export class LiveConfig {
  readonly #components: LiveConfigComponents;
  readonly #counts: Record<ReloadOutcome, number> = { applied: 0, unchanged: 0, refused: 0, failed: 0 };
  #settings: Settings;
  #isLastGood = true;
  #turn: Promise<unknown>;

  constructor(settings: Settings, components: LiveConfigComponents) {
    this.#settings = settings;
    this.#components = components;
    this.#turn = components.whenOpen;
  }

  /** After the one that may be running. Never throws: what came of it is logged and counted. */
  reload(): Promise<ReloadReport> {
    const next = this.#turn.then(() => this.#reload());
    this.#turn = next;
    return next;
  }

  /** Resolves when none is under way. */
  async settled(): Promise<void> {
    await this.#turn;
  }

  readings(): readonly Reading[] {
    return [
      ...RELOAD_OUTCOMES.map((outcome) =>
        reading('foreshard_config_reloads_total', this.#counts[outcome], { outcome }),
      ),
      reading('foreshard_config_last_reload_successful', flag(this.#isLastGood)),
    ];
  }

  async #reload(): Promise<ReloadReport> {
    const report = await this.#attempt();
    this.#counts[report.outcome]++;
    this.#isLastGood = report.outcome === 'applied' || report.outcome === 'unchanged';
    return report;
  }

  async #attempt(): Promise<ReloadReport> {
    let changed: string[] = [];
    let needRestart: string[] = [];
    try {
      const next = await this.#components.read();
      changed = changedSettings(this.#settings, next);
      needRestart = needingRestart(changed);
      const outcome = await this.#takeOver(next, { changed, needRestart });
      return { outcome, changed, needRestart, why: null };
    } catch (error) {
      const outcome =
        error instanceof ForeshardError && error.code === 'FORESHARD_CONFIG' ? 'refused' : 'failed';
      const { message } = error instanceof Error ? error : new Error(String(error));
      this.#components.logger.error({ fault: message }, `config not reloaded: the one before stays in force`);
      return { outcome, changed, needRestart, why: message };
    }
  }

  /** @throws ForeshardError FORESHARD_CONFIG naming what needs a restart. */
  async #takeOver(
    next: Settings,
    { changed, needRestart }: Pick<ReloadReport, 'changed' | 'needRestart'>,
  ): Promise<ReloadOutcome> {
    const { logger, apply } = this.#components;
    if (changed.length === 0) {
      logger.info({}, 'config read again: nothing has changed');
      return 'unchanged';
    }
    if (needRestart.length > 0)
      throw new ForeshardError(
        'FORESHARD_CONFIG',
        'restart',
        `${needRestart.map((path) => `${path} needs a restart`).join(', ')}: restart this process, or take the change back`,
      );
    await apply(next, this.#settings);
    this.#settings = next;
    logger.info({ changed }, 'config reloaded');
    return 'applied';
  }
}
