import { type Command, InvalidArgumentError } from 'commander';
import { parseHourOfWeek } from '../../src/analyzer/patterns/hour-of-week.ts';
import { ForeshardError } from '../../src/base/errors.ts';
import { loadSettings } from '../host/config/config.ts';
import { hasControlCharacters } from './output.ts';

/** Node ids travel as 16 bits. */
export const NODE_ID_MAX = 65_535;
/** As many as there are hash slots. */
export const PARTITION_ID_MAX = 16_383;

/** What several commands take. */
export interface CommonFlags {
  readonly config?: string;
  readonly json?: boolean;
}

export const withConfig = (command: Command): Command =>
  command.option('--config <file>', 'config file (default: foreshard.config.* in this folder, if any)');
export const withJson = (command: Command): Command => command.option('--json', 'print one JSON object');

export const settingsOf = (flags: CommonFlags) =>
  loadSettings({ file: flags.config, folder: process.cwd(), environment: process.env });

/** Characters of the reason for an order: the audit is read line by line, and each of its records is small. */
export const REASON_LENGTH_MAX = 500;

/** For options of commander. The audit is read line by line, by people and by other programs; and it is to say why. */
export function reasonText(given: string): string {
  const text = given.trim();
  if (hasControlCharacters(text))
    throw new ForeshardError(
      'FORESHARD_CONFIG',
      'fix-config',
      '--reason: no line breaks or other control characters: say it in one line of text',
    );
  if (text === '') throw noReason();
  if (text.length > REASON_LENGTH_MAX)
    throw new ForeshardError(
      'FORESHARD_CONFIG',
      'fix-config',
      `--reason: found ${text.length} characters, ${REASON_LENGTH_MAX} are kept in the audit: say it shorter, or where it is written`,
    );
  return text;
}

/** For orders that need a reason only at times. */
export const noReason = (): ForeshardError =>
  new ForeshardError('FORESHARD_CONFIG', 'fix-config', '--reason: say why; it is kept in the audit');

export const REASON_FLAG = ['--reason <text>', 'why, for the audit', reasonText] as const;

export function wholeNumber(flag: string, min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!/^\d+$/.test(text) || value < min || value > max)
      throw new InvalidArgumentError(`${flag} is a whole number from ${min} to ${max}.`);
    return value;
  };
}

/** Of the week: `mon 09:00`. */
export function weekHour(text: string): number {
  const hour = parseHourOfWeek(text);
  if (hour === null)
    throw new InvalidArgumentError("--at is a day and an hour of the week in UTC, such as 'mon 09:00'.");
  return hour;
}
