import { ForeshardError } from '../../src/base/errors.ts';

/** @param where file and line as `path:12`, and the event where there is one. */
export const calendarError = (where: string, what: string, cause?: unknown): ForeshardError =>
  new ForeshardError('FORESHARD_CONFIG', 'fix-config', `${where}: ${what}`, { cause });

/** Names of events go into logs and messages: one line of them, and not all of it. */
export const shown = (name: string): string =>
  `"${name.replace(/[\p{Cc}\p{Cf}]+/gu, ' ').slice(0, 60)}${name.length > 60 ? '…' : ''}"`;
