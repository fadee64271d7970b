import { spawnSync } from 'node:child_process';
import { Command } from 'commander';
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { completionScript, SHELLS } from '../../../plugin/operator/completion-command.ts';

const test = suite('foreshard completion');

function program(): Command {
  const tree = new Command('foreshard');
  tree
    .command('map')
    .description("who owns what: it's short")
    .option('--json', 'as JSON')
    .option('--config <file>', 'a file');
  const config = tree.command('config').description('settings');
  config.command('check').description('judge').option('--config <file>', 'a file');
  config.command('show').description('print');
  return tree;
}

/** What bash would offer for the last of these words. */
function offered(words: readonly string[]): string[] {
  const script = `${completionScript('bash', program())}
COMP_WORDS=(foreshard ${words.map((word) => `'${word}'`).join(' ')}); COMP_CWORD=${words.length}
_foreshard; printf '%s\\n' "\${COMPREPLY[@]}"`;
  const { stdout, stderr, status } = spawnSync('bash', ['-c', script], { encoding: 'utf8', cwd: '/' });
  check.equal([status, stderr], [0, '']);
  return stdout.split('\n').filter((line) => line !== '');
}

test('bash completes commands, commands of commands, and options of the command that was typed', () => {
  check.equal(offered(['']), ['map', 'config']);
  check.equal(offered(['co']), ['config']);
  check.equal(offered(['config', '']), ['check', 'show', '--help']);
  check.equal(offered(['config', 'check', '--']), ['--config', '--help']);
  check.equal(offered(['map', '--j']), ['--json']);
  check.equal(offered(['map', '--json', '--c']), ['--config']);
  check.equal(offered(['nothing', '--']), []);
});

test('every shell gets a script that names what there is, with quotes kept as text', () => {
  for (const shell of SHELLS) {
    const script = completionScript(shell, program());
    check.match(script, /check/);
    check.match(script, shell === 'fish' ? /-d 'who owns what: it\\'s short'/ : /_foreshard foreshard$/);
  }
});

test.run();
