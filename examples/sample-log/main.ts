/**
 * `npm run --silent sample-log -- [DAYS] > flights.csv`: a log for whoever has none at hand, as CSV of time and key. Three million
 * departures of US flights in 181 days; each stands for one query about its airport.
 */
import { once } from 'node:events';
import { DAY_MS, LOG_END_MS, LOG_START_MS, readFlightLog } from '../flights/read-log.ts';
import { airportKey } from '../flights/workload.ts';

const MINUTE_MS = 60_000;
/** So much text is written at once. */
const CHUNK_CHARACTERS = 1 << 20;

const dayCount =
  process.argv[2] === undefined ? (LOG_END_MS - LOG_START_MS) / DAY_MS : Number(process.argv[2]);
if (!(Number.isInteger(dayCount) && dayCount >= 1 && LOG_START_MS + dayCount * DAY_MS <= LOG_END_MS)) {
  console.error(
    `DAYS: found ${process.argv[2]}, the log has 1 to ${(LOG_END_MS - LOG_START_MS) / DAY_MS} days`,
  );
  process.exit(2);
}

const log = await readFlightLog({ fromMs: LOG_START_MS, toMs: LOG_START_MS + dayCount * DAY_MS });
let text = 'time,key\n';
for (let i = 0; i < log.minuteOf.length; i++) {
  const time = new Date(log.startMs + (log.minuteOf[i] as number) * MINUTE_MS).toISOString();
  text += `${time},${airportKey(log.airports[log.originOf[i] as number] as string)}\n`;
  if (text.length < CHUNK_CHARACTERS) continue;
  if (!process.stdout.write(text)) await once(process.stdout, 'drain');
  text = '';
}
process.stdout.write(text);
