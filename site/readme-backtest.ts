/**
 * `npm run readme-backtest -- report.html result.json`: puts a backtest of the flights into the README, its table between the marks
 * and its picture into docs/images. Both files are of one `foreshard backtest flights.csv … --html report.html --json > result.json`.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { REPOSITORY } from './pages.ts';

interface PolicyFigures {
  readonly latencyIndex: number;
  readonly overloadNodeHours: number;
  readonly moves: number;
  readonly movesUndone: number;
}

interface Result {
  readonly policies: Readonly<Record<string, PolicyFigures>>;
  readonly gainOfOracle: number | null;
}

const ROWS: readonly (readonly [policy: string, title: string])[] = [
  ['stay', 'stay, or equal numbers of slots'],
  ['static', 'one map balanced by mean load'],
  ['reactive', 'relief of hot nodes'],
  ['predictive', '**planned by forecast**'],
  ['oracle', 'planned with perfect knowledge'],
];

const BEGIN = '<!-- backtest -->';
const END = '<!-- /backtest -->';

function tableOf({ policies }: Result): string {
  const rows = ROWS.map(([policy, title]) => {
    const figures = policies[policy];
    if (figures === undefined) throw new Error(`the result has no policy ${policy}`);
    const { latencyIndex, overloadNodeHours, moves, movesUndone } = figures;
    const strong = (text: string): string => (policy === 'predictive' ? `**${text}**` : text);
    const undone = policy === 'predictive' ? `, ${movesUndone === 0 ? 'none' : movesUndone} undone` : '';
    return `| ${title} | ${strong(latencyIndex.toFixed(3))} | ${strong(String(overloadNodeHours))} | ${moves}${undone} |`;
  });
  const heads = '| policy | mean wait, service times | node-hours above 80 % | moves |\n|---|---|---|---|';
  return `${heads}\n${rows.join('\n')}`;
}

/** The first chart of a report: it brings its own style. */
function pictureOf(html: string): string {
  const [svg] = /<svg [\s\S]*?<\/svg>/.exec(html) ?? [];
  if (svg === undefined) throw new Error('the report has no chart');
  return `${svg}\n`;
}

const [htmlFile, jsonFile] = process.argv.slice(2);
if (htmlFile === undefined || jsonFile === undefined) {
  console.error('usage: npm run readme-backtest -- report.html result.json');
  process.exit(2);
}
const readmeFile = join(REPOSITORY, 'README.md');
const readme = readFileSync(readmeFile, 'utf8');
const [before, rest] = readme.split(BEGIN);
const after = rest?.split(END)[1];
if (before === undefined || after === undefined) throw new Error(`README.md has no ${BEGIN} … ${END}`);
const table = tableOf(JSON.parse(readFileSync(jsonFile, 'utf8')) as Result);
writeFileSync(readmeFile, `${before}${BEGIN}\n${table}\n${END}${after}`);
writeFileSync(
  join(REPOSITORY, 'docs/images/backtest-flights.svg'),
  pictureOf(readFileSync(htmlFile, 'utf8')),
);
