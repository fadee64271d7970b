import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { readAssignment, readModel, writeAssignment } from '../../../bench/roadef/model.ts';
import { ForeshardError } from '../../../src/base/errors.ts';
import { seededRandom } from '../../../src/base/random.ts';
import { testSeed } from '../../support/seed.ts';
import { withTemporaryFolder } from '../../support/temporary-folder.ts';
import { modelText, randomInstance, tinyModel } from './instances.ts';

const test = suite('roadef files');

const readText = (folder: string, text: string) => {
  const path = join(folder, 'model.txt');
  writeFileSync(path, text);
  return readModel(path);
};

test('a model is read as it was written', () =>
  withTemporaryFolder(async (folder) => {
    const { model } = randomInstance(seededRandom(testSeed('roadef files')));
    check.equal(readText(folder, modelText(model)), model);
  }));

test('a self-dependency and a repeated one say nothing', () =>
  withTemporaryFolder(async (folder) => {
    const model = tinyModel({ dependsOn: [Int32Array.of(0, 2, 1, 2), new Int32Array(), new Int32Array()] });
    check.equal(readText(folder, modelText(model)).dependsOn[0], Int32Array.of(1, 2));
  }));

test('a solution is one line of machines', () =>
  withTemporaryFolder(async (folder) => {
    const path = join(folder, 'solution.txt');
    writeAssignment(path, Int32Array.of(1, 0, 1));
    check.is(readFileSync(path, 'utf8'), '1 0 1\n');
    check.equal(readAssignment(path, { processCount: 3, machineCount: 2 }), Int32Array.of(1, 0, 1));
  }));

test('what is wrong in a file is named with its line', () =>
  withTemporaryFolder(async (folder) => {
    const text = modelText(tinyModel());
    const refused: readonly [string, RegExp][] = [
      ['', /model\.txt:1 ends before the count of resources/],
      [text.slice(0, -8), /ends before the weight of|has .* in the weight/],
      [`${text} 1`, /goes on after the three weights/],
      [text.replace('0 10', '0 -10'), /model\.txt:2 has "-" in weight of resource 0, an integer/],
      [text.replace('0 10', '2 10'), /model\.txt:2 has 2 for transience of resource 0, which is in 0\.\.1/],
      [text.replace('0 10', '0 1.5'), /has "\." in weight of resource 0/],
    ];
    for (const [damaged, message] of refused)
      check.throws(
        () => readText(folder, damaged),
        (error: unknown) =>
          error instanceof ForeshardError &&
          error.code === 'FORESHARD_CORRUPT' &&
          message.test(error.message),
        String(message),
      );
    const path = join(folder, 'assignment.txt');
    for (const [machines, message] of [
      ['0 1', /ends before the machine of process 2/],
      ['0 1 2', /has 2 for the machine of process 2, which is in 0\.\.1/],
      ['0 1 1 1', /goes on after the machines of 3 processes/],
    ] as const) {
      writeFileSync(path, machines);
      check.throws(() => readAssignment(path, { processCount: 3, machineCount: 2 }), message);
    }
  }));

test.run();
