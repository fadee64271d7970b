import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { ForeshardError } from '../../src/base/errors.ts';
import { REPOSITORY } from '../support/repository.ts';
import { testSeed } from '../support/seed.ts';
import { fuzzTarget } from './campaign.ts';
import { readCorpus } from './corpus.ts';
import { mutateBytes } from './mutate.ts';
import { FuzzRunner } from './runner.ts';
import type { FuzzTarget, Outcome } from './target.ts';
import { TARGET_NAMES } from './targets.ts';

/** Enough to see every mutator at work; `npm run fuzz` is for finding. */
const INPUTS = 150;

const test = suite('fuzzing');

for (const name of TARGET_NAMES)
  test(`${name}: what is kept in the corpus and ${INPUTS} new inputs are parsed, or refused by an error that says why`, async () => {
    const { totals, findings } = await fuzzTarget(name, {
      repository: REPOSITORY,
      seed: testSeed(`fuzz ${name}`),
      milliseconds: 30_000,
      inputsMax: INPUTS,
    });
    check.equal(
      findings.map(({ what, input }) => `${what}: ${input.toString('base64')}`),
      [],
    );
    check.ok((totals?.accepted ?? 0) > 0, 'some mean something');
    check.ok((totals?.accepted ?? 0) < (totals?.inputs ?? 0), 'and some do not');
    check.ok((totals?.kinds ?? 0) > 5, 'in many ways');
  });

/** A parser with a fault, as the harness would meet it. */
const faulty = (run: (input: Buffer) => Outcome): FuzzTarget => ({
  name: 'faulty',
  generate: (random) => Buffer.from(`{"a":${random.nextBelow(100)}}`),
  mutate: mutateBytes,
  run,
});

async function findingsOf(
  target: FuzzTarget,
  inputCount: number,
): Promise<readonly { what: string; input: Buffer }[]> {
  const runner = new FuzzRunner(target, { seed: 7n, corpus: [Buffer.from('{"magic":"0123456789"}')] });
  await runner.run(() => runner.totals.inputs >= inputCount);
  return runner.findings;
}

test('an error that is no ForeshardError is found, and its input cut down to what matters', async () => {
  const found = await findingsOf(
    faulty((input) => {
      if (input.includes('gic')) throw new TypeError('oops');
      throw new ForeshardError('FORESHARD_CORRUPT', 'report', 'no');
    }),
    50,
  );
  check.is(found.length, 1, 'one fault, told once');
  check.match(found[0]?.what ?? '', /TypeError: oops/);
  check.is(found[0]?.input.toString(), 'gic');
});

test('a changed prototype is found', async () => {
  const shared = Object.prototype as Record<string, unknown>;
  try {
    const found = await findingsOf(
      faulty((input) => {
        if (input.length === 5) shared.polluted = true;
        return { kind: '', value: null };
      }),
      300,
    );
    check.match(found[0]?.what ?? '', /globals changed.*Object\.prototype\.polluted/);
  } finally {
    delete shared.polluted;
  }
});

test('a parser that makes much of little is found', async () => {
  const found = await findingsOf(
    faulty((input) => ({ kind: '', value: Array.from(input, (byte) => ({ byte, more: [byte] })) })),
    600,
  );
  check.match(found[0]?.what ?? '', /^heap: \d+ bytes of input left \d+ bytes behind/);
});

test('every target begins with examples that are parsed', () => {
  for (const name of TARGET_NAMES) check.ok(readCorpus(REPOSITORY, name).length > 0, name);
});

test.run();
