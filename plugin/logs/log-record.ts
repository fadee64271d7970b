/** The formats of query logs that are read, by the names `--format` takes. */
export const LOG_FORMATS = ['monitor', 'jsonl', 'csv', 'http', 'postgres'] as const;
export type LogFormatName = (typeof LOG_FORMATS)[number];

/** What a query is written in; a template is found differently for each. */
export type QueryKind = 'command' | 'sql' | 'http' | 'search';

/** One query of a foreign log. Only what its format says: `undefined` where it says nothing. */
export interface LogRecord {
  /** Wall clock, milliseconds since 1970 in UTC. */
  readonly timeMs: number;
  /** Who asked: a name or an address without its port; empty where the log does not say. */
  readonly client: string;
  readonly kind: QueryKind;
  /** The query as text. Of a key-value command its name alone: the keys are in `keys`, values are not kept. */
  readonly query: string;
  /** Bytes as latin-1, as in `QueryRecord.keyPrefix`, but whole: the hash slot comes from them. */
  readonly keys: readonly string[];
  readonly isWrite: boolean;
  readonly latencyMs: number | undefined;
  /** Size of the answer. */
  readonly bytes: number | undefined;
}

/**
 * What a line is, other than a query: `bad` could not be read and counts against the limit; `skipped` is well formed and no
 * query (a server message, a comment, a command that a script ran).
 */
export interface Rejection {
  readonly kind: 'bad' | 'skipped';
  readonly reason: string;
  /** It could be read; only its time does not fit those of the lines around it. */
  readonly isStray?: true;
}

export const bad = (reason: string): Rejection => ({ kind: 'bad', reason });
export const stray = (reason: string): Rejection => ({ kind: 'bad', reason, isStray: true });
export const skipped = (reason: string): Rejection => ({ kind: 'skipped', reason });

/** `timeMs` tells a record from a rejection: the check that costs least in the inner loop. */
export const isRecord = (outcome: LogRecord | Rejection): outcome is LogRecord => 'timeMs' in outcome;

/** Reads one line, or one record of several lines where the format quotes. Keeps what the next line needs (time zone, header). */
export interface LineParser {
  parse(line: string): LogRecord | Rejection;
  /** What a reader of the result should know of all lines so far. */
  notes?(): readonly string[];
}

export interface NumberedReason {
  /** Of the record's first line, from 1. */
  readonly line: number;
  readonly reason: string;
}

/** Two lines whose times are not in order, or far from each other. */
export interface ClockStep {
  /** Of the latter. */
  readonly line: number;
  readonly beforeMs: number;
  readonly afterMs: number;
}

export interface LogSummary {
  readonly format: LogFormatName | null;
  readonly compression: 'none' | 'gzip' | 'zstd';
  readonly lineCount: number;
  readonly recordCount: number;
  readonly badCount: number;
  /** The first bad lines. */
  readonly badLines: readonly NumberedReason[];
  readonly skippedCount: number;
  /** Lines by reason, at most SKIP_REASONS_MAX of them. */
  readonly skippedReasons: ReadonlyMap<string, number>;
  /** Records that came after later ones; within the reorder window they are handed out in order. */
  readonly reorderedCount: number;
  /** How often the log's clock was put back, and the first places. */
  readonly clockStepCount: number;
  readonly clockSteps: readonly ClockStep[];
  /** Spans without a query: nobody asked, nobody logged, or the clock was put forward. A log cannot tell which. */
  readonly silenceCount: number;
  readonly longestSilence: ClockStep | null;
  readonly firstMs: number | null;
  readonly lastMs: number | null;
  /** Of the file, compressed where it is. */
  readonly bytesRead: number;
  /** Null for a stream. */
  readonly bytesTotal: number | null;
  /** What a reader of the result should know. */
  readonly notes: readonly string[];
}

/** Records in time order, but for clock steps. */
export interface LogBatch {
  readonly records: readonly LogRecord[];
}
