import type ICAL from 'ical.js';

type Recurrence = InstanceType<typeof ICAL.Recur>;

const INTERVAL_MAX = 1000;
const FREQUENCIES = ['DAILY', 'WEEKLY', 'MONTHLY', 'YEARLY'];
/** Parts that RFC 5545 gives a meaning with these frequencies only. The parser looks for such days until the end of time. */
const MEANT_FOR: readonly (readonly [part: string, frequencies: readonly string[]])[] = [
  ['BYWEEKNO', ['YEARLY']],
  ['BYYEARDAY', ['YEARLY']],
  ['BYMONTHDAY', ['MONTHLY', 'YEARLY']],
];

/**
 * The same of a rule as it is written: the parser takes INTERVAL=0 for 1 without a word.
 *
 * @param rule such as FREQ=WEEKLY;INTERVAL=2
 */
export function writtenRuleProblem(rule: string): string | undefined {
  const [, interval] = /(?:^|;)INTERVAL=([^;]*)/i.exec(rule) ?? [];
  if (interval === undefined || /^0*[1-9]\d*$/.test(interval.trim())) return undefined;
  return `INTERVAL=${interval} must be from 1 to ${INTERVAL_MAX}`;
}

/**
 * What is wrong with a rule beyond its spelling, as "what: remedy"; undefined where nothing is.
 *
 * A load that repeats more often than daily is a season, found without a calendar.
 */
export function ruleProblem({ freq, interval, count, parts }: Recurrence): string | undefined {
  if (!freq) return 'no FREQ: begin with FREQ=YEARLY, MONTHLY, WEEKLY or DAILY';
  if (!FREQUENCIES.includes(freq))
    return `FREQ=${freq} is more often than daily: what comes hourly is found without a calendar`;
  if (!(interval >= 1 && interval <= INTERVAL_MAX)) return `INTERVAL must be from 1 to ${INTERVAL_MAX}`;
  if (count !== null && count !== undefined && !(count >= 1)) return 'COUNT must be 1 or more';
  const given = parts as Readonly<Record<string, readonly (string | number)[] | undefined>>;
  for (const [part, frequencies] of MEANT_FOR)
    if (given[part] !== undefined && !frequencies.includes(freq))
      return `${part} does not go with FREQ=${freq}: write FREQ=${frequencies.join(' or FREQ=')}`;
  const days = (given.BYDAY ?? []).map(String);
  const isMonthly = freq === 'MONTHLY' || freq === 'YEARLY';
  if (!isMonthly && days.some((day) => /\d/.test(day)))
    return `a numbered day such as BYDAY=1FR does not go with FREQ=${freq}: write FREQ=MONTHLY or FREQ=YEARLY`;
  // Every seventh day from a Thursday is never a Friday.
  if (freq === 'DAILY' && days.length > 0 && interval > 1)
    return 'BYDAY does not go with every so many days: write FREQ=WEEKLY';
  return undefined;
}
