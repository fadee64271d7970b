import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { lowerBound } from '../../../bench/roadef/bound.ts';
import { checkSolution } from '../../../bench/roadef/checker.ts';
import { temperatureAt } from '../../../bench/roadef/leg.ts';
import { readAssignment, writeAssignment } from '../../../bench/roadef/model.ts';
import { solve } from '../../../bench/roadef/solve.ts';
import { seededRandom } from '../../../src/base/random.ts';
import { nodeArguments } from '../../support/repository.ts';
import { testSeed } from '../../support/seed.ts';
import { withTemporaryFolder } from '../../support/temporary-folder.ts';
import { modelText, randomInstance, tinyModel } from './instances.ts';

const test = suite('roadef solver');
const SEED = testSeed('roadef solver');

test('a solution is legal, better than the start, not below the bound, and the same for the same seed on any threads', async () => {
  const { model, initial } = randomInstance(seededRandom(SEED).fork('solve'));
  const options = { seed: 7n, threads: 2, budget: { iterations: 60_000 } };
  const solution = await solve(model, initial, { ...options, isInline: true });
  const { violations, cost } = checkSolution(model, initial, solution.machineOf);
  check.equal(violations, []);
  check.is(BigInt(solution.cost), cost.total);
  check.ok(cost.total < checkSolution(model, initial, initial).cost.total);
  check.ok(cost.total >= lowerBound(model));
  const whole = 2 * options.budget.iterations;
  check.ok(Math.abs(solution.iterations / whole - 1) < 0.2, 'both threads use their budgets');
  check.equal(await solve(model, initial, options), solution, 'threads find what one thread finds');
  check.equal(await solve(model, initial, { ...options, isInline: true, build: 'debug' }), solution);
});

test('the best of all maps is found where there are few', async () => {
  const model = tinyModel();
  const initial = Int32Array.of(0, 0, 0);
  let least = checkSolution(model, initial, initial).cost.total;
  for (let code = 0; code < 8; code++) {
    const { violations, cost } = checkSolution(
      model,
      initial,
      Int32Array.of(code & 1, (code >> 1) & 1, code >> 2),
    );
    if (violations.length === 0 && cost.total < least) least = cost.total;
  }
  const solution = await solve(model, initial, {
    seed: 1n,
    threads: 1,
    budget: { iterations: 5000 },
    isInline: true,
  });
  check.is(BigInt(solution.cost), least);
});

test('temperatures fall geometrically from knot to knot', () => {
  const schedule = [
    { share: 0, temperature: 100 },
    { share: 0.5, temperature: 1 },
    { share: 1, temperature: 0.01 },
  ];
  const expected = [100, 10, 1, 0.1, 0.01];
  [0, 0.25, 0.5, 0.75, 1].forEach((share, i) => {
    check.ok(Math.abs(temperatureAt(schedule, share) / (expected[i] as number) - 1) < 1e-12, `at ${share}`);
  });
});

test('the command writes a solution in the format of the competition, and says what is wrong', () =>
  withTemporaryFolder(async (folder) => {
    const { model, initial } = randomInstance(seededRandom(SEED).fork('command'));
    const path = (name: string): string => join(folder, name);
    writeFileSync(path('model.txt'), modelText(model));
    writeAssignment(path('start.txt'), initial);
    const run = (...parameters: string[]) =>
      spawnSync(
        process.execPath,
        nodeArguments('bench/roadef.ts', path('model.txt'), path('start.txt'), ...parameters),
        { encoding: 'utf8' },
      );
    const { status, stdout } = run('--iterations', '20000', '--threads', '2', '--out', path('solution.txt'));
    check.is(status, 0);
    const { violations, cost } = checkSolution(model, initial, readAssignment(path('solution.txt'), model));
    check.equal(violations, []);
    check.match(stdout, `cost ${cost.total} `);

    // A start that breaks a constraint is named, and nothing is written.
    writeAssignment(path('start.txt'), new Int32Array(model.processCount));
    const refused = run('--iterations', '20000', '--out', path('none.txt'));
    check.is(refused.status, 1);
    check.match(refused.stderr, /breaks \d+ constraints:\n {2}capacity: machine 0/);
    check.throws(() => readFileSync(path('none.txt')));
    check.is(run('--seconds', 'soon').status, 2);
  }));

test.run();
