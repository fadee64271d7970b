import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { CheckpointFile } from '../../../../plugin/host/analysis/checkpoint-file.ts';
import { ForeshardError } from '../../../../src/base/errors.ts';
import { withTemporaryFolder } from '../../../support/temporary-folder.ts';

const test = suite('checkpoint file');

const STATE = {
  version: 3,
  name: 'ä',
  nothing: null,
  numbers: [1, 0.1, Number.NaN, -0, 2 ** 60],
  doubles: Float64Array.of(Math.PI, -0, Number.POSITIVE_INFINITY, Number.MIN_VALUE),
  floats: Float32Array.of(0.1),
  integers: Int32Array.of(-1, 2 ** 31 - 1),
  nested: { empty: new Float64Array(0), list: [{ a: Int32Array.of(7) }] },
};

test('what was written is read again, types and bits', async () => {
  await withTemporaryFolder(async (folder) => {
    const file = new CheckpointFile(join(folder, 'below', 'a.checkpoint'));
    check.is(await file.read(), undefined);
    await file.write({ other: 1 });
    await file.write(STATE);
    const read = (await new CheckpointFile(join(folder, 'below', 'a.checkpoint')).read()) as typeof STATE;
    check.equal(read, STATE);
    check.instance(read.doubles, Float64Array);
    check.instance(read.nested.list[0]?.a, Int32Array);
    check.is(statSync(join(folder, 'below', 'a.checkpoint')).mode & 0o777, 0o600);
  });
});

test('a file that was cut, changed, or is another is refused with its path', async () => {
  await withTemporaryFolder(async (folder) => {
    const path = join(folder, 'a.checkpoint');
    const file = new CheckpointFile(path);
    await file.write(STATE);
    const whole = readFileSync(path);
    const damaged = Buffer.from(whole);
    damaged[whole.length - 3] = (damaged[whole.length - 3] as number) ^ 1;
    const ofAnotherVersion = Buffer.from(whole);
    ofAnotherVersion[0] = (whole[0] as number) ^ 1;
    for (const bytes of [
      Buffer.alloc(0),
      ofAnotherVersion,
      whole.subarray(0, 20),
      whole.subarray(0, -1),
      damaged,
      Buffer.from('{}'),
    ]) {
      writeFileSync(path, bytes);
      try {
        await file.read();
        check.unreachable(`${bytes.length} bytes were accepted`);
      } catch (error) {
        check.instance(error, ForeshardError);
        check.is((error as ForeshardError).code, 'FORESHARD_CORRUPT');
        check.ok((error as Error).message.includes(path));
      }
    }
  });
});

test('a write that was cut off leaves the file before', async () => {
  await withTemporaryFolder(async (folder) => {
    const path = join(folder, 'a.checkpoint');
    const file = new CheckpointFile(path);
    await file.write(STATE);
    writeFileSync(`${path}.new`, 'half of somethi');
    check.equal(await file.read(), STATE);
    await file.write({ ...STATE, version: 4 });
    check.is(((await file.read()) as typeof STATE).version, 4);
  });
});

test.run();
