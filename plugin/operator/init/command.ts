import { writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline/promises';
import type { Command } from 'commander';
import { ForeshardError } from '../../../src/base/errors.ts';
import { withJson } from '../flags.ts';
import { printOutcome } from '../output.ts';
import { type ConfigAnswers, configText, DEFAULT_ANSWERS, QUESTIONS, type Question } from './config-text.ts';

const FILE = 'foreshard.config.yaml';

export function addInitCommand(program: Command): void {
  withJson(program.command('init'))
    .description('ask a few questions and write a commented config file; asks nothing without a terminal')
    .option('--yes', 'ask nothing: take the defaults')
    .option('--file <file>', 'what to write', FILE)
    .action(async (flags: { readonly yes?: boolean; readonly file: string; readonly json?: boolean }) => {
      const isAsking = flags.yes !== true && process.stdin.isTTY === true;
      const answers = isAsking ? await askAll() : DEFAULT_ANSWERS;
      writeNew(flags.file, configText(answers));
      const next = `foreshard doctor${flags.file === FILE ? '' : ` --config ${flags.file}`}`;
      printOutcome(`${flags.file} is written. Next: ${next}`, flags, { file: flags.file, next });
    });
}

async function askAll(): Promise<ConfigAnswers> {
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  try {
    let answers = DEFAULT_ANSWERS;
    for (const question of QUESTIONS)
      answers = await answered(question, answers, (text) => terminal.question(text));
    return answers;
  } finally {
    terminal.close();
  }
}

/** Asks until the answer makes sense; an empty one takes what is shown. */
export async function answered(
  { field, text, shown, read, expected }: Question,
  answers: ConfigAnswers,
  ask: (text: string) => Promise<string>,
): Promise<ConfigAnswers> {
  let hint = '';
  for (;;) {
    const reply = (await ask(`${text} [${shown(answers)}]${hint}: `)).trim();
    if (reply === '') return answers;
    const value = read(reply);
    if (value !== undefined) return { ...answers, [field]: value };
    hint = ` (${expected})`;
  }
}

/** @throws ForeshardError FORESHARD_CONFIG for a file that is there: nothing of anybody's is overwritten. */
function writeNew(file: string, text: string): void {
  try {
    writeFileSync(file, text, { flag: 'wx' });
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    throw new ForeshardError(
      'FORESHARD_CONFIG',
      'fix-config',
      code === 'EEXIST'
        ? `${file} is there already: move it away, or name another with --file`
        : `${file}: ${message}`,
      { cause },
    );
  }
}
