import type { Clock } from '../../../src/base/clock.ts';
import type { Logger } from '../../../src/base/logger.ts';
import type { MetadataStore } from '../../../src/ports/metadata-store.ts';
import { decodeReadReport, type ReadReport } from '../../metadata/read-report.ts';

/** Reports of all query nodes are read at most so often, for however many migrations. */
const REPORTS_MS = 100;

export interface ReadReportsComponents {
  readonly metadata: Pick<MetadataStore, 'list'>;
  /** Below which the query nodes' reports stand. */
  readonly prefix: string;
  readonly clock: Clock;
  readonly logger: Logger;
}

export type KeyedReport = readonly [nodeKey: string, report: ReadReport];

/** What all query nodes publish of reads and of storage nodes, read once for whoever asks. */
export class ReadReports {
  readonly #components: ReadReportsComponents;
  readonly #badReports = new Map<string, number>();
  #reports: readonly KeyedReport[] = [];
  #reportsAtMs = Number.NEGATIVE_INFINITY;

  constructor(components: ReadReportsComponents) {
    this.#components = components;
  }

  /** Null where the store cannot be read: nothing is known then. */
  async read(): Promise<readonly KeyedReport[] | null> {
    const { metadata, prefix, clock, logger } = this.#components;
    if (clock.monotonicMs() - this.#reportsAtMs < REPORTS_MS) return this.#reports;
    try {
      const { entries } = await metadata.list(prefix);
      this.#reports = entries.flatMap(({ key, value, revision }) => {
        try {
          return [[key, decodeReadReport(key, value)] as const];
        } catch (error) {
          if (this.#badReports.get(key) !== revision)
            logger.warn({ error: messageOf(error) }, 'a bad report');
          this.#badReports.set(key, revision);
          return [];
        }
      });
      this.#reportsAtMs = clock.monotonicMs();
      return this.#reports;
    } catch (error) {
      logger.warn({ error: messageOf(error) }, 'what query nodes measure of reads cannot be read');
      return null;
    }
  }
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
