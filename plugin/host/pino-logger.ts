import { pino } from 'pino';
import type { Logger } from '../../src/base/logger.ts';

/** JSON lines on standard error: standard output belongs to what a command was asked for. */
export function createLogger(options: {
  readonly level: 'debug' | 'info' | 'warn' | 'error';
  readonly fields: Record<string, unknown>;
}): Logger {
  const lines = pino(
    {
      level: options.level,
      // The names of the setting, not pino's numbers.
      formatters: { level: (label) => ({ level: label }) },
      base: options.fields,
      // A second wall: no caller logs a secret, and one that does by mistake shows a mark instead.
      redact: { paths: ['password', '*.password', 'security.password'], censor: '(not shown)' },
    },
    // Synchronous: the line that says why a process ends must be out before it ends.
    pino.destination({ dest: 2, sync: true }),
  );
  return wrap(lines);
}

function wrap(lines: pino.Logger): Logger {
  return {
    debug: (fields, message) => lines.debug(fields, message),
    info: (fields, message) => lines.info(fields, message),
    warn: (fields, message) => lines.warn(fields, message),
    error: (fields, message) => lines.error(fields, message),
    child: (fields) => wrap(lines.child(fields)),
  };
}
