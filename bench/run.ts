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
  'forecast',
  'forecast-training',
  'seasons',
  'logs',
  'placement',
  'migration',
  'metadata',
  'redis',
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
  return `${result.name}  ${result.metric} ${short(result.value)} ${result.unit}  ${against}  ${settings}  hash ${result.hash}`;
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { json: { type: 'boolean', default: false }, small: { type: 'boolean', default: false } },
  });
  const unknown = positionals.filter((area) => !(BENCH_AREAS as readonly string[]).includes(area));
  if (unknown.length > 0) {
    console.error(`unknown bench area ${unknown.join(', ')}; there are ${BENCH_AREAS.join(', ')}`);
    process.exitCode = 2;
    return;
  }
  const say = values.json ? console.error : console.log;
  const outcome: { results: BenchResult[]; skipped: BenchOutcome['skipped'][number][] } = {
    results: [],
    skipped: [],
  };
  for (const area of positionals.length > 0 ? positionals : BENCH_AREAS) {
    say(`# ${area}`);
    const part = await (await loadBench(area)).run({ isSmall: values.small });
    for (const result of part.results) say(describe(result));
    for (const { name, why } of part.skipped) say(`SKIP ${name}: ${why}`);
    outcome.results.push(...part.results);
    outcome.skipped.push(...part.skipped);
  }
  if (values.json) process.stdout.write(`${JSON.stringify(outcome)}\n`);
}

// Tests import loadBench; only the command itself runs everything.
if (process.argv[1] && fileURLToPath(import.meta.url) === process.argv[1]) await main();
