import { writeFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { createInterface } from 'node:readline/promises';
import { type Command, InvalidArgumentError } from 'commander';
import { ForeshardError } from '../../../src/base/errors.ts';
import { withJson } from '../flags.ts';
import { printOutcome } from '../output.ts';
import {
  ADDRESSES_EXPECTED,
  type ConfigAnswers,
  configText,
  DEFAULT_ANSWERS,
  QUESTIONS,
  type Question,
  readAddresses,
} from './config-text.ts';

const FILE = 'foreshard.config.yaml';
const SOCKET_FILE = 'foreshard.sock';
/** What the system allows, as the config schema has it. */
const SOCKET_PATH_MAX = 100;

interface InitFlags {
  readonly yes?: boolean;
  readonly redis?: readonly string[];
  readonly file: string;
  readonly json?: boolean;
}

export function addInitCommand(program: Command): void {
  withJson(program.command('init'))
    .description('ask a few questions and write a commented config file; asks nothing without a terminal')
    .option('--yes', 'ask nothing: take the defaults')
    .option(
      '--redis <host:port,…>',
      'some nodes of a Redis Cluster or Valkey that is there already (default: the embedded engine)',
      parseAddresses,
    )
    .option('--file <file>', 'what to write', FILE)
    .action(async (flags: InitFlags) => {
      const isAsking = flags.yes !== true && process.stdin.isTTY === true;
      const given = { ...DEFAULT_ANSWERS, redisNodes: flags.redis ?? DEFAULT_ANSWERS.redisNodes };
      const answers = isAsking ? await askAll(given) : given;
      writeNew(flags.file, configText(answers, socketPathFor(flags.file, answers)));
      const next = `foreshard doctor${flags.file === FILE ? '' : ` --config ${flags.file}`}`;
      printOutcome(`${flags.file} is written. Next: ${next}`, flags, { file: flags.file, next });
    });
}

/** In the folder of the config; nodes of the embedded engine are several processes of one config, and have none. */
function socketPathFor(file: string, { redisNodes }: ConfigAnswers): string | null {
  const path = resolve(dirname(file), SOCKET_FILE);
  return redisNodes.length === 0 || path.length > SOCKET_PATH_MAX ? null : path;
}

function parseAddresses(text: string): readonly string[] {
  const addresses = readAddresses(text);
  if (addresses === undefined) throw new InvalidArgumentError(`It must be ${ADDRESSES_EXPECTED}.`);
  return addresses;
}

async function askAll(given: ConfigAnswers): Promise<ConfigAnswers> {
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  try {
    let answers = given;
    for (const question of QUESTIONS)
      if (question.isOfEmbeddedEngine !== true || answers.redisNodes.length === 0)
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
    const present = shown(answers);
    const reply = (await ask(`${text}${present === '' ? '' : ` [${present}]`}${hint}: `)).trim();
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
