import type { Logger } from '../../src/base/logger.ts';
import type { Calendar } from '../../src/model/calendar.ts';

/**
 * The calendar that `forecast.calendar` names, null where it names none; remarks are logged. What reads calendars is loaded where there
 * is one alone: with its YAML and iCalendar it is an eighth of the modules of a thread that analyses.
 *
 * @throws ForeshardError FORESHARD_CONFIG naming file, line and event.
 */
export async function configuredCalendar(file: string | null, logger: Logger): Promise<Calendar | null> {
  if (file === null) return null;
  const { loadCalendar } = await import('./load-calendar.ts');
  const { calendar, eventCount, remarks } = loadCalendar(file);
  for (const remark of remarks) logger.warn({}, remark);
  logger.info({ file, eventCount }, 'calendar read');
  return calendar;
}
