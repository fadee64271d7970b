/** The page on adapters: each of its command lines is run, or, where it runs for minutes elsewhere, is one that is there. */
import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { promisify } from 'node:util';
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { nodeArguments, REPOSITORY, repositoryFile } from './support/repository.ts';

const test = suite('the page on adapters');

const page = readFileSync(repositoryFile('docs/engine-adapter.md'), 'utf8');
const lines = [...page.matchAll(/^```sh\n([\s\S]*?)^```/gm)].flatMap(([, block = '']) =>
  block.trim().split('\n'),
);

test('what it says of the examples, the examples say of themselves', async () => {
  const examples = lines.flatMap((line) => {
    const [, path, said] = /^node --import tsx (examples\/\S+) +# (.+)$/.exec(line) ?? [];
    return path && said ? [{ path, said }] : [];
  });
  check.is(examples.length, 2, lines.join('\n'));
  for (const { path, said } of examples) {
    const { stdout } = await promisify(execFile)(process.execPath, nodeArguments(path), { cwd: REPOSITORY });
    check.is(stdout.trim().split('\n').at(-1), said, path);
  }
});

test('every pattern of test files that it names has files', () => {
  const files = readdirSync(repositoryFile('test'), { recursive: true, encoding: 'utf8' });
  const patterns = lines.flatMap((line) => /uvu\/bin\.js test '([^']+)'/.exec(line)?.[1] ?? []);
  check.ok(patterns.length >= 2);
  for (const pattern of patterns)
    check.ok(
      files.some((file) => new RegExp(pattern).test(file) && file.endsWith('.test.ts')),
      pattern,
    );
});

test('every script that it names is there, and takes the flags', () => {
  const { scripts } = JSON.parse(readFileSync(repositoryFile('package.json'), 'utf8')) as {
    scripts: Readonly<Record<string, string>>;
  };
  const named = lines.flatMap((line) => {
    const [, name = '', rest = ''] = /^npm run (\w+)(?: -- (.*))?$/.exec(line) ?? [];
    return name === '' ? [] : [{ name, flags: rest.match(/--\w+/g) ?? [] }];
  });
  check.ok(named.length >= 2);
  for (const { name, flags } of named) {
    const [, built = ''] = /^node dist\/(\S+)\.js$/.exec(scripts[name] ?? '') ?? [];
    const source = readFileSync(repositoryFile(`${built}.ts`), 'utf8');
    for (const flag of flags)
      check.ok(new RegExp(`\\b${flag.slice(2)}\\b`).test(source), `npm run ${name} ${flag}`);
  }
});

test.run();
