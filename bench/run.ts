/**
 * `npm run bench [-- AREA…] [--small] [--json]`: every figure beside its named baseline, measured in the same run.
 * Human lines go to standard output, or to standard error beside `--json`, whose one object has standard output alone.
 */
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import type { BenchModule, BenchOutcome, BenchResult } from './types.ts';

export const BENCH_AREAS = [
  'kernels',
  'capture',
  'node',
  'neighbours',
  'forecast',
  'forecast-training',
  'seasons',
  'logs',
  'placement',
  'migration',
  'metadata',
  'resp',
  'redis',
  'redis-capture',
] as const;

/** Loads the module of an area. Both `.ts` under tsx and `.js` in dist. */
export async function loadBench(area: string): Promise<BenchModule> {
  const extension = import.meta.url.endsWith('.ts') ? '.ts' : '.js';
  const url = new URL(`./${area}${extension}`, import.meta.url);
  if (!existsSync(fileURLToPath(url)))
    throw new Error(`no bench file for area ${area}: expected ${fileURLToPath(url)}`);
  return (await import(url.href)) as BenchModule;
}

/** Three significant digits, whole numbers from 1,000 on. */
function short(value: number): string {
  return Math.abs(value) >= 1000
    ? Math.round(value).toLocaleString('en-US')
    : String(Number(value.toPrecision(3)));
}

function describe(result: BenchResult): string {
  const settings = Object.entries(result.settings)
    .map(([name, value]) => `${name}=${value}`)
    .join(' ');
  const against = `${short(result.ratio)}x ${result.baseline} (${short(result.baselineValue)})`;
  return `${result.name}  ${result.metric} ${short(result.value)} ${result.unit}  ${against}  ${settings}  hash ${result.hash}${describeBar(result)}`;
}

function describeBar({ bar, ratio }: BenchResult): string {
  if (bar === undefined) return '';
  const [isMet, aim] =
    'ratioMin' in bar
      ? [ratio >= bar.ratioMin, `at least ${bar.ratioMin}`]
      : [ratio <= bar.ratioMax, `at most ${bar.ratioMax}`];
  return `  BAR ratio ${aim}: ${isMet ? 'met' : 'not met'}`;
}

const USAGE = `usage: npm run bench [-- AREA... --small --seconds S --json --help]

  AREA         ${BENCH_AREAS.slice(0, 6).join(', ')},
               ${BENCH_AREAS.slice(6).join(', ')}; all by default
  --small      a short run, as the tests make it
  --seconds S  for each ROADEF instance of placement, 3 by default; of redis, for the daily load, 180 by default
  --json       one JSON object on standard output (npm run --silent bench), lines for people on standard error
`;

/** The parser's own message is good, its stack helps nobody. */
function parsedArguments() {
  try {
    return parseArgs({
      allowPositionals: true,
      options: {
        json: { type: 'boolean', default: false },
        small: { type: 'boolean', default: false },
        seconds: { type: 'string' },
        help: { type: 'boolean', short: 'h', default: false },
      },
    });
  } catch (error) {
    return error as Error;
  }
}

async function main(): Promise<void> {
  const parsed = parsedArguments();
  const isBad = parsed instanceof Error;
  const seconds = isBad || parsed.values.seconds === undefined ? undefined : Number(parsed.values.seconds);
  const unknown = isBad
    ? []
    : parsed.positionals.filter((area) => !(BENCH_AREAS as readonly string[]).includes(area));
  const isNoTime = seconds !== undefined && !(seconds > 0 && Number.isFinite(seconds));
  if (isBad || isNoTime || unknown.length > 0) {
    const unknownAreas = `unknown bench area ${unknown.join(', ')}`;
    const why = isBad ? parsed.message : isNoTime ? '--seconds is a number above 0' : unknownAreas;
    console.error(`${why}\n\n${USAGE}`);
    process.exitCode = 2;
    return;
  }
  const { values, positionals } = parsed;
  if (values.help) {
    console.log(USAGE);
    return;
  }
  const say = values.json ? console.error : console.log;
  const outcome: { results: BenchResult[]; skipped: BenchOutcome['skipped'][number][] } = {
    results: [],
    skipped: [],
  };
  for (const area of positionals.length > 0 ? positionals : BENCH_AREAS) {
    say(`# ${area}`);
    const part = await (await loadBench(area)).run({
      isSmall: values.small,
      ...(seconds === undefined ? {} : { seconds }),
    });
    for (const result of part.results) say(describe(result));
    for (const { name, why } of part.skipped) say(`SKIP ${name}: ${why}`);
    outcome.results.push(...part.results);
    outcome.skipped.push(...part.skipped);
  }
  if (values.json) process.stdout.write(`${JSON.stringify(outcome)}\n`);
}

// Tests import loadBench; only the command itself runs everything.
if (process.argv[1] && fileURLToPath(import.meta.url) === process.argv[1]) await main();
