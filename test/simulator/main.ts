/** `npm run sim`: schedules of the real code, or of each planted bug until it is found; and one schedule again. */
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { Campaign, type CampaignResult, type SearchResult } from './campaign.ts';
import { MUTANTS, type Mutant, mutantNamed, NO_MUTANT } from './mutants.ts';
import type { Scenario } from './scenario.ts';
import { type Omissions, shrink, without } from './shrink.ts';
import { kindOf } from './violation-kinds.ts';
import { runSchedule, scenarioOf } from './world.ts';

const USAGE = `npm run sim -- [options]
  --seeds N        schedules to run (default 1000)
  --from SEED      the first seed, or "random" (default 1)
  --full           20000 schedules, or N, from the first seed, and all planted bugs; ends with "N passed, N failed"
  --mutants        search for every planted bug instead, in at most N schedules each (default 5000)
  --mutant NAME    plant this bug
  --without LIST   of one schedule: leave these parts of its scenario out, and tell what is left
  --trace          with it: tell every change of the map and of what goes with it
  --threads N      default: one a core
  --json           print one line of JSON`;

/** Printed with how to replay them; of more only the number is told. */
const FAILURES_SHOWN_MAX = 5;
const FULL_SCHEDULES = 20_000;
const GROUP_SCHEDULES = 1_000;

const OPTIONS = {
  seeds: { type: 'string' },
  from: { type: 'string', default: '1' },
  full: { type: 'boolean', default: false },
  mutants: { type: 'boolean', default: false },
  mutant: { type: 'string' },
  without: { type: 'string' },
  trace: { type: 'boolean', default: false },
  threads: { type: 'string' },
  json: { type: 'boolean', default: false },
  help: { type: 'boolean', default: false },
} as const;

interface Options {
  readonly from: bigint;
  /** Null: as many as is usual for what is asked. */
  readonly count: number | null;
  readonly mutant: Mutant;
  readonly threadCount: number | undefined;
  readonly isJson: boolean;
  readonly isTraced: boolean;
}

// A test runner that is given a pattern may load this file as well.
if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) await main();

async function main(): Promise<void> {
  const { values } = parseArgs({ options: OPTIONS });
  const options: Options = {
    from: values.from === 'random' ? BigInt(Date.now()) * 1_000n : BigInt(values.from),
    count: values.seeds === undefined ? null : Number(values.seeds),
    mutant: values.mutant === undefined ? NO_MUTANT : mutantNamed(values.mutant),
    threadCount: values.threads === undefined ? undefined : Number(values.threads),
    isJson: values.json,
    isTraced: values.trace,
  };
  if (values.help) console.log(USAGE);
  else if (values.full) await runAll(options);
  else if (values.mutants) await searchMutants(options);
  else if (values.without !== undefined)
    await replay(
      options,
      values.without.split(',').filter((name) => name !== ''),
    );
  else await runSchedules(options);
}

/** What CI runs, with fewer schedules: every planted bug counts as one check, as does every group of schedules. */
async function runAll(options: Options): Promise<void> {
  const count = options.count ?? FULL_SCHEDULES;
  const failures = await runSchedules({ ...options, count });
  const failedGroups = new Set(failures.map(({ seed }) => (seed - options.from) / BigInt(GROUP_SCHEDULES)));
  const results = await searchMutants({ ...options, count: null });
  const failed = failedGroups.size + results.filter(({ isFound }) => !isFound).length;
  const total = Math.ceil(count / GROUP_SCHEDULES) + results.length;
  console.log(`${total - failed} passed, ${failed} failed`);
  process.exitCode = failed > 0 ? 1 : 0;
}

async function runSchedules(options: Options): Promise<CampaignResult['failures']> {
  const campaign = new Campaign(options.threadCount);
  const startedMs = performance.now();
  const { from, mutant } = options;
  const result = await campaign.run(
    { from, count: options.count ?? 1_000, mutant: mutant.name },
    (done, failures) => {
      for (const { seed, violation } of failures) console.error(`seed ${seed}: ${violation}`);
      if (process.stderr.isTTY) process.stderr.write(`\r${done} schedules`);
    },
  );
  const seconds = (performance.now() - startedMs) / 1000;
  await campaign.close();
  for (const { seed } of result.failures.slice(0, FAILURES_SHOWN_MAX)) await shrinkAndTell(options, seed);
  print(options, {
    schedules: result.scheduleCount,
    violations: result.failures.length,
    switches: result.switchCount,
    aborts: result.abortCount,
    eventsPerSecond: Math.round(result.eventCount / seconds),
  });
  process.exitCode = result.failures.length > 0 ? 1 : 0;
  return result.failures;
}

async function searchMutants(options: Options): Promise<SearchResult[]> {
  const campaign = new Campaign(options.threadCount);
  const { from, mutant } = options;
  const names = (mutant === NO_MUTANT ? MUTANTS : [mutant]).map(({ name }) => name);
  const results = await campaign.searchAll(names, { from, countMax: options.count ?? 5_000 }, (result) => {
    const where = result.isFound ? `schedule ${result.scheduleCount}` : 'NOT FOUND';
    const by = result.violation === null ? '' : (kindOf(result.violation) ?? '');
    console.error(`${result.name.padEnd(36)} ${where}  ${by}: ${result.violation?.slice(0, 100) ?? ''}`);
  });
  await campaign.close();
  const mutants = results.map(({ name, isFound, scheduleCount }) => ({
    name,
    found: isFound,
    schedules: scheduleCount,
  }));
  print(options, { mutants });
  process.exitCode = mutants.every(({ found }) => found) ? 0 : 1;
  return results;
}

/** One schedule, with parts of it left out. */
async function replay({ from, mutant, isTraced }: Options, omissions: Omissions): Promise<void> {
  const { violations } = await runSchedule(from, {
    mutant,
    reduce: (scenario) => without(scenario, omissions),
    ...(isTraced ? { trace: (line: string) => console.log(line) } : {}),
  });
  console.log(describe(without(scenarioOf(from, mutant), omissions)));
  for (const violation of violations) console.log(violation);
  if (violations.length === 0) console.log('no violation');
  process.exitCode = violations.length > 0 ? 1 : 0;
}

async function shrinkAndTell({ mutant }: Options, seed: bigint): Promise<void> {
  Error.stackTraceLimit = 0;
  const omissions = await shrink(scenarioOf(seed, mutant), async (left) => {
    const { violations } = await runSchedule(seed, { mutant, reduce: (scenario) => without(scenario, left) });
    return violations.length > 0;
  });
  const planted = mutant === NO_MUTANT ? '' : ` --mutant ${mutant.name}`;
  console.error(`\nseed ${seed}, shrunk:\n${describe(without(scenarioOf(seed, mutant), omissions))}`);
  console.error(`replay: npm run sim -- --from ${seed}${planted} --without ${omissions.join(',') || "''"}`);
}

function describe(scenario: Scenario): string {
  const { faults, ambushes, moves, ...rest } = scenario;
  const short = (value: unknown): string =>
    JSON.stringify(value, (_, item) => (typeof item === 'number' ? Number(item.toPrecision(4)) : item));
  return [short(rest), ...[...faults, ...ambushes, ...moves].map((item) => `  ${short(item)}`)].join('\n');
}

function print({ isJson }: Options, report: object): void {
  console.log(isJson ? JSON.stringify(report) : report);
}
