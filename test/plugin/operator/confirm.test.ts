import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { confirm } from '../../../plugin/operator/confirm.ts';
import { isColoured, Screen } from '../../../plugin/operator/screen.ts';
import { ForeshardError } from '../../../src/base/errors.ts';

const test = suite('what is asked before it is done, and how a terminal is drawn');

/** @returns what was asked, and whether it was agreed to. */
async function asked(reply: string | null, flags: { yes?: boolean }) {
  const questions: string[] = [];
  const asker = {
    isTerminal: reply !== null,
    async ask(question: string) {
      questions.push(question);
      return reply ?? '';
    },
  };
  const error = await confirm('node 3 is taken out', flags, asker).then(
    () => null,
    (caught: unknown) => caught as ForeshardError,
  );
  return { questions, error };
}

test('a terminal is asked; only a plain yes is one', async () => {
  for (const yes of ['y', 'Y', 'yes', ' YES ']) check.is((await asked(yes, {})).error, null, yes);
  for (const no of ['', 'n', 'no', 'yesterday', 'y n']) {
    const { error, questions } = await asked(no, {});
    check.instance(error, ForeshardError);
    check.is(error?.code, 'FORESHARD_CONFIG', 'exit code 2');
    check.match(String(error?.message), /nothing was done/);
    check.equal(questions, ['node 3 is taken out. Go on? [y/N] ']);
  }
});

test('--yes is not asked again, and without a terminal it has to be said', async () => {
  check.equal(await asked('n', { yes: true }), { questions: [], error: null });
  check.equal(await asked(null, { yes: true }), { questions: [], error: null });
  const { error, questions } = await asked(null, {});
  check.match(String(error?.message), /node 3 is taken out: say --yes; nothing was done/);
  check.equal(questions, []);
});

test('colours are for terminals whose owner wants them', () => {
  const terminal = { isTTY: true };
  check.is(isColoured(terminal, {}), true);
  check.is(isColoured(terminal, { NO_COLOR: '' }), true, 'set to nothing it says nothing');
  check.is(isColoured(terminal, { NO_COLOR: '1' }), false);
  check.is(isColoured(terminal, { TERM: 'dumb' }), false);
  check.is(isColoured({}, {}), false);
});

test('a screen gives back what was on the terminal before', () => {
  const written: string[] = [];
  const output = { isTTY: true, rows: 3, write: (text: string) => written.push(text) };
  check.is(Screen.ofTerminal({ write: output.write }), null, 'no terminal, no screen');
  const screen = Screen.ofTerminal(output) as Screen;
  check.is(screen.rows, 3);
  screen.open();
  screen.show(['one', 'two']);
  screen.close();
  check.is(written.length, 3);
  check.match(written[0] as string, '\u001b[?1049h');
  check.match(written[1] as string, 'one\u001b[K\r\ntwo\u001b[K\u001b[J');
  check.match(written[2] as string, '\u001b[?1049l');
});

test.run();
