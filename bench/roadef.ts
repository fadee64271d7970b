/**
 * The ROADEF/EURO challenge 2012, machine reassignment, by the annealing loop of the placement search.
 *
 *   node --import tsx bench/roadef.ts MODEL ASSIGNMENT --seconds 300 --threads 2 --seed 1 --out FILE
 *   node --import tsx bench/roadef.ts --table [NAME…] --seconds 30 --threads 2 --seed 1
 *
 * Every solution is judged by a checker that was written from the definition; one that breaks a constraint ends the program
 * with exit code 1. --iterations N instead of --seconds can be made again.
 */
import { performance } from 'node:perf_hooks';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { ForeshardError } from '../src/base/errors.ts';
import { publishedInstances, REACHED } from './roadef/instances.ts';
import { writeAssignment } from './roadef/model.ts';
import { type SolvedFiles, type SolveFilesOptions, solveFiles } from './roadef/solve-files.ts';

const USAGE =
  'usage: bench/roadef.ts MODEL ASSIGNMENT [--out FILE] | --table [NAME…]\n' +
  '       [--seconds 300 | --iterations N] [--threads 2] [--seed 1] [--verbose]';

class UsageError extends Error {}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      seconds: { type: 'string' },
      iterations: { type: 'string' },
      threads: { type: 'string', default: '2' },
      seed: { type: 'string', default: '1' },
      out: { type: 'string' },
      table: { type: 'boolean', default: false },
      verbose: { type: 'boolean', default: false },
    },
  });
  const options: SolveFilesOptions = {
    budget:
      values.iterations === undefined
        ? { seconds: positive('--seconds', values.seconds ?? '300') }
        : { iterations: whole('--iterations', values.iterations) },
    threads: whole('--threads', values.threads),
    seed: BigInt(whole('--seed', values.seed)),
    isVerbose: values.verbose,
  };
  if (values.table) return printTable(positionals, options);
  const [modelPath, assignmentPath] = positionals;
  if (modelPath === undefined || assignmentPath === undefined || positionals.length > 2)
    throw new UsageError('a model and an assignment are needed');
  const result = await solveFiles(
    { model: modelPath, assignment: assignmentPath },
    options,
    performance.now(),
  );
  if (values.out !== undefined) writeAssignment(values.out, result.machineOf);
  console.log(
    `cost ${result.cost}  bound ${result.bound}  gap ${gapText(result)}  start ${result.startCost}  ` +
      `${result.kind}, ${result.iterations.toLocaleString('en-US')} proposals, seed ${options.seed}`,
  );
}

async function printTable(names: readonly string[], options: SolveFilesOptions): Promise<void> {
  const instances = publishedInstances();
  if (instances.length === 0) {
    console.log('SKIP roadef: the instances are not here; FORESHARD_SHARED_DATA says where they are');
    return;
  }
  const unknown = names.filter((name) => instances.every((instance) => instance.name !== name));
  if (unknown.length > 0) throw new UsageError(`no instance ${unknown.join(', ')} here`);
  const amount =
    'iterations' in options.budget ? `${options.budget.iterations} proposals` : `${options.budget.seconds} s`;
  console.log(
    `${amount} x ${options.threads} threads an instance, seed ${options.seed}; every solution is legal`,
  );
  console.log(
    '| instance | start | cost | bound | gap to the bound | reached elsewhere | against that | annealing | proposals | s | CPU-s |',
  );
  console.log('|---|---|---|---|---|---|---|---|---|---|---|');
  const chosen = names.flatMap((name) => instances.filter((instance) => instance.name === name));
  for (const instance of names.length > 0 ? chosen : instances) {
    const startMs = performance.now();
    const cpuBefore = process.cpuUsage();
    const result = await solveFiles(instance, options);
    const { user, system } = process.cpuUsage(cpuBefore);
    const seconds = ((performance.now() - startMs) / 1000).toFixed(1);
    const cpuSeconds = ((user + system) / 1e6).toFixed(1);
    const reached = REACHED[instance.name];
    const against = reached === undefined ? '' : percent(Number(result.cost) / reached - 1);
    console.log(
      `| ${instance.name} | ${result.startCost} | ${result.cost} | ${result.bound} | ${gapText(result)} | ` +
        `${reached ?? ''} | ${against} | ${result.kind} | ${result.iterations} | ${seconds} | ${cpuSeconds} |`,
    );
  }
}

function gapText({ cost, bound }: Pick<SolvedFiles, 'cost' | 'bound'>): string {
  return bound === 0n ? 'bound 0' : percent(Number(cost - bound) / Number(bound));
}

function percent(ratio: number): string {
  return `${(100 * ratio).toFixed(5)} %`;
}

function positive(name: string, text: string): number {
  const value = Number(text);
  if (!(value > 0 && Number.isFinite(value)))
    throw new UsageError(`${name} is a number above 0, got ${text}`);
  return value;
}

function whole(name: string, text: string): number {
  const value = positive(name, text);
  if (!Number.isSafeInteger(value)) throw new UsageError(`${name} is a whole number above 0, got ${text}`);
  return value;
}

if (process.argv[1] && fileURLToPath(import.meta.url) === process.argv[1])
  try {
    await main();
  } catch (error) {
    const isOurs = error instanceof ForeshardError || error instanceof UsageError;
    console.error(isOurs ? error.message : error);
    if (error instanceof UsageError) console.error(USAGE);
    process.exitCode = error instanceof UsageError ? 2 : 1;
  }
