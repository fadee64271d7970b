import { pino } from 'pino';
import type { Logger } from '../../src/base/logger.ts';
import { packageVersion } from '../version.ts';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

/** A logger whose level, and its children's, may change while it is used. */
export interface AdjustableLogger extends Logger {
  setLevel(level: LogLevel): void;
}

const WEIGHTS: Readonly<Record<LogLevel, number>> = { debug: 20, info: 30, warn: 40, error: 50 };

/** JSON lines on standard error: standard output belongs to what a command was asked for. */
export function createLogger(options: {
  readonly level: LogLevel;
  readonly fields: Record<string, unknown>;
}): AdjustableLogger {
  const lines = pino(
    {
      // What is not to be said is stopped below: a child of pino keeps the level that its parent had when it was made.
      level: 'debug',
      // The names of the setting, not pino's numbers.
      formatters: { level: (label) => ({ level: label }), log: byOpenTelemetry },
      // By the names of OpenTelemetry, by which collectors know a service: https://opentelemetry.io/docs/specs/semconv/resource/
      base: { 'service.name': 'foreshard', 'service.version': packageVersion(), ...options.fields },
      // A second wall: no caller logs a secret, and one that does by mistake shows a mark instead.
      redact: { paths: ['password', '*.password', 'security.password'], censor: '(not shown)' },
    },
    // Synchronous: the line that says why a process ends must be out before it ends.
    pino.destination({ dest: 2, sync: true }),
  );
  const threshold = { weight: WEIGHTS[options.level] };
  return {
    ...wrap(lines, threshold),
    setLevel(level) {
      threshold.weight = WEIGHTS[level];
    },
  };
}

/**
 * Fields of our own that OpenTelemetry has names for, by which collectors find them.
 *
 * @see https://opentelemetry.io/docs/specs/semconv/registry/attributes/ (exception, server, network)
 */
const OPEN_TELEMETRY_NAMES: ReadonlyMap<string, string> = new Map([
  ['fault', 'exception.message'],
  ['stack', 'exception.stacktrace'],
  ['host', 'server.address'],
  ['port', 'server.port'],
]);

const byOpenTelemetry = (fields: Record<string, unknown>): Record<string, unknown> =>
  Object.fromEntries(
    Object.entries(fields).map(([name, value]) => [OPEN_TELEMETRY_NAMES.get(name) ?? name, value]),
  );

function wrap(lines: pino.Logger, threshold: { readonly weight: number }): Logger {
  const say =
    (level: LogLevel) =>
    (fields: Record<string, unknown>, message: string): void => {
      if (WEIGHTS[level] >= threshold.weight) lines[level](fields, message);
    };
  return {
    debug: say('debug'),
    info: say('info'),
    warn: say('warn'),
    error: say('error'),
    child: (fields) => wrap(lines.child(fields), threshold),
  };
}
