import { createInterface } from 'node:readline/promises';
import { ForeshardError } from '../../src/base/errors.ts';
import { visible } from './output.ts';

export const YES_FLAG = [
  '--yes',
  'do it without asking; needed where there is no terminal to ask at',
] as const;

export interface YesFlags {
  readonly yes?: boolean;
}

/** Who can be asked, and how. */
export interface Asker {
  readonly isTerminal: boolean;
  ask(question: string): Promise<string>;
}

const atTerminal = (): Asker => ({
  isTerminal: process.stdin.isTTY === true && process.stderr.isTTY === true,
  async ask(question) {
    // Not on standard output, which is for what was asked for.
    const terminal = createInterface({ input: process.stdin, output: process.stderr });
    try {
      return await terminal.question(question);
    } finally {
      terminal.close();
    }
  },
});

/**
 * Before what cannot simply be taken back: asks at a terminal; where there is none, `--yes` has to say it.
 *
 * @param what a sentence without its end, such as `node 3 is taken out for good`.
 * @throws ForeshardError FORESHARD_CONFIG unless somebody agrees.
 */
export async function confirm(what: string, { yes }: YesFlags, asker: Asker = atTerminal()): Promise<void> {
  if (yes === true) return;
  if (!asker.isTerminal) throw refused(`${what}: say --yes; nothing was done`);
  const answer = await asker.ask(`${visible(what)}. Go on? [y/N] `);
  if (!/^\s*y(es)?\s*$/i.test(answer)) throw refused('not confirmed: nothing was done');
}

const refused = (message: string): ForeshardError =>
  new ForeshardError('FORESHARD_CONFIG', 'fix-config', message);
