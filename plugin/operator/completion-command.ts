import { type Command, Option } from 'commander';
import { withJson } from './flags.ts';
import { printJson, printLines } from './output.ts';

export const SHELLS = ['bash', 'zsh', 'fish'] as const;
export type Shell = (typeof SHELLS)[number];

/** One command, spelt as on the command line: `config check`. */
interface Described {
  readonly path: string;
  readonly description: string;
  readonly options: readonly { readonly flag: string; readonly description: string }[];
}

export function addCompletionCommand(program: Command): void {
  withJson(program.command('completion'))
    .argument('<shell>', SHELLS.join(', '))
    .description('print a script that completes commands and options: source <(foreshard completion bash)')
    .action((shell: string, { json }: { readonly json?: boolean }) => {
      const known = SHELLS.find((name) => name === shell);
      if (known === undefined) program.error(`error: completion is for ${SHELLS.join(', ')}`);
      const script = completionScript(known as Shell, program);
      if (json === true) printJson({ shell, script });
      else printLines(script);
    });
}

/** Made from the commands themselves, so that it names what there is. */
export function completionScript(shell: Shell, program: Command): string {
  const commands = describe(program, '');
  if (shell === 'fish') return fishScript(program, commands);
  // zsh reads bash's words once it is asked to.
  return shell === 'zsh'
    ? `autoload -U +X bashcompinit && bashcompinit\n${bashScript(commands)}`
    : bashScript(commands);
}

function describe(command: Command, prefix: string): Described[] {
  return command.commands.flatMap((child) => {
    const path = `${prefix}${child.name()}`;
    const options = [...child.options, new Option('--help', 'what there is')].flatMap(
      ({ long, description }) => (long ? [{ flag: long, description }] : []),
    );
    return [{ path, description: child.description(), options }, ...describe(child, `${path} `)];
  });
}

const nextWords = (commands: readonly Described[], path: string): string[] =>
  commands
    .filter((of) => of.path.startsWith(path) && !of.path.slice(path.length).includes(' '))
    .map((of) => of.path.slice(path.length));

function bashScript(commands: readonly Described[]): string {
  const cases = commands.map(({ path, options }) => {
    const words = [...nextWords(commands, `${path} `), ...options.map(({ flag }) => flag)];
    return `    '${path}') words='${words.join(' ')}' ;;`;
  });
  const groups = commands
    .map(({ path }) => path)
    .filter((path) => nextWords(commands, `${path} `).length > 0);
  return `_foreshard() {
  local current=\${COMP_WORDS[COMP_CWORD]} path=\${COMP_WORDS[1]} words
  case "$path" in
    ${groups.join('|') || '-'}) [ "$COMP_CWORD" -gt 2 ] && path="$path \${COMP_WORDS[2]}" ;;
  esac
  [ "$COMP_CWORD" -le 1 ] && path=''
  case "$path" in
    '') words='${nextWords(commands, '').join(' ')}' ;;
${cases.join('\n')}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
  [ "$COMP_CWORD" -gt 1 ] && [ -n "$current" ] && [ "\${current#-}" = "$current" ] && COMPREPLY+=($(compgen -f -- "$current"))
  return 0
}
complete -o filenames -F _foreshard foreshard`;
}

function fishScript(program: Command, commands: readonly Described[]): string {
  const quoted = (text: string): string => `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
  const lines = commands.flatMap(({ path, description, options }) => {
    const words = path.split(' ');
    const name = words.at(-1) as string;
    const where =
      words.length === 1
        ? '__fish_use_subcommand'
        : `__fish_seen_subcommand_from ${words.slice(0, -1).join(' ')}`;
    return [
      `complete -c ${program.name()} -n ${quoted(where)} -a ${name} -d ${quoted(description)}`,
      ...options.map(
        (option) =>
          `complete -c ${program.name()} -n ${quoted(`__fish_seen_subcommand_from ${name}`)} -l ${option.flag.slice(2)} -d ${quoted(option.description)}`,
      ),
    ];
  });
  return lines.join('\n');
}
