/** The command lines of `foreshard` that a page shows, as a shell would see them. */

export interface CommandLine {
  /** As it stands on the page, without the comment. */
  readonly line: string;
  /** Without `foreshard`; quotes are gone. */
  readonly words: readonly string[];
}

/** Those in fenced blocks, each command of a pipe by itself. Blocks of other languages than sh are data, or what is printed. */
export function commandLinesOf(markdown: string): CommandLine[] {
  // All blocks in turn: the end of one of another language looks like the beginning of one without.
  const blocks = [...markdown.matchAll(/^```(\w*)[^\n]*\n([\s\S]*?)^```/gm)].flatMap(
    ([, language = '', body = '']) => (language === '' || language === 'sh' ? [body] : []),
  );
  return blocks
    .flatMap((body) => body.replaceAll('\\\n', ' ').split('\n'))
    .flatMap((line) => line.split(/\s(?:\||&&)\s/))
    .flatMap((part) => {
      const [, command] = /^\s*(?:npx |sudo |FORESHARD_\w+=\S* )*foreshard ((?:[^#]|\S#)*)/.exec(part) ?? [];
      if (command === undefined) return [];
      const text = command.trim().replace(/\s*(?:>\s*\S+|&)\s*$/, '');
      return [{ line: `foreshard ${text}`, words: wordsOf(text) }];
    });
}

/** `foreshard x --y` in running text: what is in capitals, or dots, stands for something. */
export const mentionsOf = (markdown: string): string[] =>
  [...markdown.replace(/^```[\s\S]*?^```/gm, '').matchAll(/`foreshard ([^`]+)`/g)].map(
    ([, text = '']) => text,
  );

export const wordsOf = (text: string): string[] =>
  [...text.matchAll(/"([^"]*)"|'([^']*)'|(\S+)/g)].map(
    ([, double, single, bare]) => double ?? single ?? bare ?? '',
  );
