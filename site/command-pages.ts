/** One page a command, made from the program itself, with the lines of the documents that use it. */
import type { Command } from 'commander';
import { loadCommands } from '../plugin/operator/command-modules.ts';
import { buildProgram } from '../plugin/operator/program.ts';
import { commandLinesOf } from './command-lines.ts';

const COMMANDS = await loadCommands();

interface Leaf {
  /** Such as `config check`. */
  readonly path: string;
  readonly command: Command;
}

/** @param pages name and Markdown of what may hold examples. */
export function commandPages(
  pages: readonly (readonly [name: string, markdown: string])[],
): Map<string, string> {
  const leaves = leavesOf(buildProgram(COMMANDS, () => {}));
  const examples = pages.flatMap(([page, markdown]) =>
    commandLinesOf(markdown).map(({ line, words }) => ({ page, line, words })),
  );
  const made = new Map<string, string>([['commands/index.md', indexPage(leaves)]]);
  for (const leaf of leaves) {
    const words = leaf.path.split(' ');
    const own = examples.filter((example) => words.every((word, i) => example.words[i] === word));
    made.set(`commands/${leaf.path.replaceAll(' ', '-')}.md`, commandPage(leaf, own));
  }
  return made;
}

function leavesOf(command: Command, prefix = ''): Leaf[] {
  return command.commands.flatMap((child) => {
    const path = `${prefix}${child.name()}`;
    return child.commands.length > 0 ? leavesOf(child, `${path} `) : [{ path, command: child }];
  });
}

const indexPage = (leaves: readonly Leaf[]): string =>
  [
    '# Commands',
    '',
    'In a clone `foreshard` is `npx foreshard`, after `npm run build`. Exit codes, and which orders ask first: [command line](../host.md#command-line).',
    '',
    '| command | does |',
    '|---|---|',
    ...leaves.map(
      ({ path, command }) =>
        `| [\`${path}\`](${path.replaceAll(' ', '-')}.md) | ${cell(command.description())} |`,
    ),
    '',
  ].join('\n');

function commandPage({ path, command }: Leaf, examples: readonly { page: string; line: string }[]): string {
  const lines = [
    `# ${path}`,
    '',
    sentence(command.description()),
    '',
    '```',
    `foreshard ${path} ${command.usage()}`,
    '```',
    '',
  ];
  const { registeredArguments } = command;
  if (registeredArguments.length > 0)
    lines.push(
      '| argument | means |',
      '|---|---|',
      ...registeredArguments.map(
        (argument) =>
          `| \`${argument.name()}\`${argument.required ? '' : ', may be left out'} | ${cell(argument.description)} |`,
      ),
      '',
    );
  if (command.options.length > 0)
    lines.push(
      '| option | means | default |',
      '|---|---|---|',
      ...command.options.map(
        ({ flags, description, defaultValue, defaultValueDescription, mandatory, argChoices }) =>
          `| \`${cell(flags)}\`${mandatory ? ', required' : ''} | ${cell(description)}${argChoices ? `: ${argChoices.join(', ')}` : ''} | ${defaultValue === undefined ? '' : `\`${cell(String(defaultValueDescription ?? defaultValue))}\``} |`,
      ),
      '',
    );
  if (examples.length > 0) {
    lines.push('## In use', '');
    for (const { page, line } of examples)
      lines.push(
        '```sh',
        line,
        '```',
        '',
        `from [${page.replace(/\.md$/, '')}](../${page === 'README.md' ? 'index.md' : page})`,
        '',
      );
  }
  return lines.join('\n');
}

const cell = (text: string): string => text.replaceAll('|', '\\|').replaceAll('\n', ' ');
const sentence = (text: string): string => `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
