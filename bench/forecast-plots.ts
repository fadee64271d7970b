/**
 * `node --import tsx bench/forecast-plots.ts FOLDER [BENCH.json]`: the pictures of docs/forecasting.md.
 *
 * One partition of the flights log beside its forecast; and, from what `npm run bench -- forecast --json` printed, the errors
 * on M4 Hourly by method.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Forecaster } from '../src/analyzer/forecaster.ts';
import { FORECAST_DEFAULTS } from '../src/analyzer/settings.ts';
import { silentLogger } from '../src/base/logger.ts';
import { seededRandom } from '../src/base/random.ts';
import { loadKernels } from '../src/kernels/instance.ts';
import { inlineRunner } from '../src/kernels/pool.ts';
import { boundsOf, driverOf, profileOf } from './forecast/evaluation.ts';
import { flightsByPartition, type SeriesSet } from './forecast/sets.ts';
import { band, line, type Point, page, rectangle, text } from './forecast/svg.ts';
import type { BenchResult } from './types.ts';

const HISTORY_DAYS = 4;
const HORIZON = 96;
const WIDTH = 900;

/** Four days that were known, four days that were forecast, and what came. */
async function partitionPlot(set: SeriesSet, partition: number): Promise<string> {
  const origin = set.windowCount - HORIZON;
  const forecaster = new Forecaster(FORECAST_DEFAULTS, {
    runner: inlineRunner(loadKernels()),
    random: seededRandom(1n),
    logger: silentLogger,
  });
  await forecaster.observe(profileOf(set, 0, origin));
  const forecast = await forecaster.forecast({ horizonSteps: HORIZON, levels: [0.8, 0.95] });
  const members = (await forecaster.explain({ horizonSteps: HORIZON }))
    .toSorted((a, b) => b.weight - a.weight)
    .slice(0, 3);
  forecaster.close();
  const row = set.values.subarray(partition * set.windowCount, (partition + 1) * set.windowCount);
  const first = origin - HISTORY_DAYS * 24;
  const known = [...row.subarray(first, origin)];
  const came = [...row.subarray(origin)];
  const ofPartition = (values: Float64Array): number[] =>
    Array.from({ length: HORIZON }, (_, step) => values[step * set.seriesCount + partition] as number);
  const bounds = boundsOf(forecast).map(({ level, lower, upper }) => ({
    level,
    lower: ofPartition(lower),
    upper: ofPartition(upper),
  }));
  const point = ofPartition(driverOf(forecast.point, forecast));
  const [top, bottom, left] = [40, 300, 50];
  const largest = Math.max(...known, ...came, ...bounds.flatMap(({ upper }) => upper));
  const at = (hour: number, load: number): Point => ({
    x: left + ((hour + HISTORY_DAYS * 24) / (HISTORY_DAYS * 24 + HORIZON)) * (WIDTH - left - 20),
    y: bottom - (load / largest) * (bottom - top),
  });
  const lineOf = (values: readonly number[], from: number): Point[] =>
    values.map((load, hour) => at(from + hour, load));
  const blues = ['#dbe9f8', '#a9cbee'];
  return page(
    { width: WIDTH, height: 350, title: `Partition ${partition} of the flights log: departures an hour` },
    [
      ...[0, 0.5, 1].flatMap((share) => [
        line([at(-HISTORY_DAYS * 24, share * largest), at(HORIZON, share * largest)], 'stroke="#ddd"'),
        text(8, at(0, share * largest).y + 4, (share * largest).toFixed(0)),
      ]),
      ...bounds
        .toSorted((a, b) => b.level - a.level)
        .map(({ lower, upper }, index) =>
          band(lineOf(upper, 0), lineOf(lower, 0), `fill="${blues[index] ?? '#88b'}"`),
        ),
      ...members.map(({ point: alone }) =>
        line(lineOf(ofPartition(alone), 0), 'stroke="#888" stroke-width="0.6" stroke-dasharray="3 2"'),
      ),
      line(lineOf(known, -HISTORY_DAYS * 24), 'stroke="#222" stroke-width="1.2"'),
      line(lineOf(point, 0), 'stroke="#1f6fc4" stroke-width="1.8"'),
      line(lineOf(came, 0), 'stroke="#d1495b" stroke-width="1.2"'),
      line([at(0, 0), at(0, largest)], 'stroke="#222" stroke-dasharray="4 3"'),
      text(
        left,
        332,
        `black: known; red: what came; blue: the forecast with its ${bounds.map(({ level }) => `${level * 100} %`).join(' and ')} bounds; ` +
          `dashed: ${members.map(({ name }) => name).join(', ')} alone`,
      ),
    ],
  );
}

/** Published, not measured here: Makridakis, Spiliotis & Assimakopoulos 2020; Doornik, Castle & Hendry 2020. */
const PUBLISHED = [
  { name: 'CARD (published)', owa: 0.41 },
  { name: 'ES-RNN (published)', owa: 0.44 },
  { name: 'FFORMA (published)', owa: 0.484 },
];

function m4Plot(results: readonly BenchResult[]): string {
  const measured = results
    .filter(({ name, metric }) => name.startsWith('forecast/m4-hourly/') && metric === 'OWA')
    .map(({ name, value }) => ({ name: name.split('/')[2] as string, owa: value }));
  const shown = [...measured, ...PUBLISHED].filter(({ owa }) => owa < 1).sort((a, b) => a.owa - b.owa);
  const barHeight = 20;
  const shapes = shown.flatMap(({ name, owa }, index) => {
    const y = 40 + index * barHeight;
    const color = name === 'combined' ? '#1f6fc4' : name.includes('published') ? '#bbb' : '#a9cbee';
    return [
      text(8, y + 14, name),
      rectangle(180, y + 3, owa * 640, barHeight - 6, `fill="${color}"`),
      text(186 + owa * 640, y + 14, owa.toFixed(3)),
    ];
  });
  return page(
    {
      width: WIDTH,
      height: 52 + shown.length * barHeight,
      title: 'M4 Hourly, 414 series, 48 hours: error against Naive2 (OWA, less is better)',
    },
    shapes,
  );
}

const [folder, benchFile] = process.argv.slice(2);
if (folder === undefined) {
  console.error('usage: node --import tsx bench/forecast-plots.ts FOLDER [BENCH.json]');
  process.exit(2);
}
mkdirSync(folder, { recursive: true });
const flights = await flightsByPartition({ firstDay: 60, dayCount: 46, partitionCount: 256 });
if (flights === undefined) throw new Error('the flights log of vega-datasets is not installed');
const totals = Array.from({ length: flights.seriesCount }, (_, p) =>
  flights.values
    .subarray(p * flights.windowCount, (p + 1) * flights.windowCount)
    .reduce((sum, value) => sum + value, 0),
);
// The tenth largest: neither the busiest airport nor one without a rhythm.
const chosen = [...totals.keys()].sort((a, b) => (totals[b] as number) - (totals[a] as number))[9] as number;
writeFileSync(join(folder, 'forecast-partition.svg'), await partitionPlot(flights, chosen));
if (benchFile !== undefined) {
  const { results } = JSON.parse(readFileSync(benchFile, 'utf8')) as { results: BenchResult[] };
  writeFileSync(join(folder, 'forecast-m4.svg'), m4Plot(results));
}
