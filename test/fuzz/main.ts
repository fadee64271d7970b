/** `npm run fuzz`: made and mutated inputs against the real parsers, for as long as it is told; and one input again. */
import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { fuzzTarget, type TargetReport } from './campaign.ts';
import type { Finding } from './runner.ts';
import { TARGET_NAMES, type TargetName } from './targets.ts';

const USAGE = `npm run fuzz -- [options]
  --seconds S      in all, shared by the targets (default 60)
  --target NAME    one of ${TARGET_NAMES.join(', ')} (default: all)
  --seed N         the same seed makes the same inputs (default: a new one, which is printed)
  --input FILE     run this input alone, of --target
  --out FOLDER     where inputs that fail are written (default: fuzz-findings)`;

const REPOSITORY = process.cwd();
/** Each target gets this many turns, so that an early end has seen something of all. */
const ROUNDS = 2;

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      seconds: { type: 'string', default: '60' },
      target: { type: 'string' },
      seed: { type: 'string' },
      input: { type: 'string' },
      out: { type: 'string', default: 'fuzz-findings' },
      help: { type: 'boolean', default: false },
    },
  });
  const { seconds, target, seed: seedText, input, out, help } = values;
  const names = target === undefined ? TARGET_NAMES : TARGET_NAMES.filter((name) => name === target);
  const isUsageRight =
    Number(seconds) > 0 &&
    names.length > 0 &&
    /^\d+$/.test(seedText ?? '0') &&
    (input === undefined || target !== undefined);
  if (help || !isUsageRight) {
    console.log(USAGE);
    return help ? 0 : 2;
  }
  const seed = seedText === undefined ? randomBytes(6).readUIntBE(0, 6) : Number(seedText);
  if (input !== undefined) return replay(names[0] as TargetName, readFileSync(input));
  console.log(`seed ${seed}`);
  const findings: Finding[] = [];
  const reports: TargetReport[] = [];
  const milliseconds = (Number(seconds) * 1_000) / (names.length * ROUNDS);
  for (let round = 0; round < ROUNDS; round++)
    for (const name of names) {
      const report = await fuzzTarget(name, {
        repository: REPOSITORY,
        seed: BigInt(seed + round),
        milliseconds,
      });
      reports.push(report);
      console.log(lineOf(name, report));
      for (const finding of report.findings) {
        keep(finding, { out, name: `${finding.target}-${seed}-${findings.length}` });
        findings.push(finding);
      }
    }
  console.log(summaryOf(reports, Number(seconds)));
  return findings.length === 0 ? 0 : 1;
}

function summaryOf(reports: readonly TargetReport[], seconds: number): string {
  const findings = reports.flatMap((report) => report.findings);
  const count = (pattern: RegExp): number => findings.filter(({ what }) => pattern.test(what)).length;
  const [hangs, heaps] = [count(/^hang/), count(/^heap/)];
  const ratios = reports.flatMap(({ totals }) => totals ?? []).map(({ heapRatioMax }) => heapRatioMax);
  const inputs = reports.reduce((sum, { totals }) => sum + (totals?.inputs ?? 0), 0);
  return (
    `${inputs} inputs in ${seconds} s: ${hangs} hangs, ${heaps} of too much heap (at most ${Math.max(0, ...ratios).toFixed(1)} x input), ` +
    `${findings.length - hangs - heaps} crashes and other faults`
  );
}

async function replay(target: TargetName, input: Buffer): Promise<number> {
  const { findings } = await fuzzTarget(target, {
    repository: REPOSITORY,
    seed: 1n,
    milliseconds: 0,
    replay: input,
  });
  for (const { what } of findings) console.log(what);
  console.log(findings.length === 0 ? 'nothing found' : `${findings.length} findings`);
  return findings.length === 0 ? 0 : 1;
}

function lineOf(name: TargetName, { totals, findings }: TargetReport): string {
  if (totals === null) return `${name}: ended early: ${findings[0]?.what}`;
  const { inputs, bytes, accepted, kinds, heapRatioMax, runMsMax } = totals;
  return (
    `${name.padEnd(9)} ${inputs} inputs, ${(bytes / 2 ** 20).toFixed(1)} MiB, ${accepted} parsed, ${kinds} kinds of outcome, ` +
    `heap at most ${heapRatioMax.toFixed(1)} x input, slowest ${runMsMax.toFixed(0)} ms, ${findings.length} findings`
  );
}

/** The input in a file, and the command that runs it again. */
function keep(finding: Finding, { out, name }: { out: string; name: string }): void {
  mkdirSync(out, { recursive: true });
  const file = join(out, name);
  writeFileSync(file, finding.input);
  console.log(`\n${finding.target}: ${finding.what}`);
  console.log(`${finding.input.length} bytes: npm run fuzz -- --target ${finding.target} --input ${file}`);
}

process.exitCode = await main();
