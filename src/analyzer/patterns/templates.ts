import { OTHER } from '../../model/affinity-matrix.ts';
import { hash64Hex } from './hash.ts';
import { httpWords, splitHttpText } from './http-path.ts';
import { keyPattern, splitKeyWords } from './key-pattern.ts';
import { TextLru } from './lru.ts';
import { ownCopy } from './own-copy.ts';
import { searchTemplate } from './search-terms.ts';
import { SQL_LENGTH_MAX, sqlTemplate } from './sql-text.ts';
import { WORD_TREE_DEFAULTS, WordTree, type WordTreeLimits } from './word-tree.ts';

/** What language a query is in: a key-value command with its key, SQL, words of a search, a request line of HTTP. */
export const TEMPLATE_KINDS = ['command', 'sql', 'search', 'http'] as const;
export type TemplateKind = (typeof TEMPLATE_KINDS)[number];

/** A query with its literals taken out. */
export interface Template {
  /** 16 hex digits, the same in every process: a hash of kind and text, or for SQL that parses its fingerprint. */
  readonly id: string;
  readonly text: string;
}

/** A parser of SQL, from the edge: the core has none of its own. */
export interface SqlParser {
  /** @returns null where the text is no SQL of its dialect. */
  parse(text: string): { readonly normalised: string; readonly fingerprint: string } | null;
}

export interface TemplateSettings extends WordTreeLimits {
  /** Texts whose template is remembered, and bytes of them: a text is analysed once while it is in use. */
  readonly cacheEntriesMax: number;
  readonly cacheBytesMax: number;
}

export const TEMPLATE_DEFAULTS: TemplateSettings = {
  ...WORD_TREE_DEFAULTS,
  // An application has some hundreds of statements, but with literals inside each text is new: enough for a burst of these.
  cacheEntriesMax: 4_096,
  cacheBytesMax: 8 * 1024 * 1024,
};

/** What is left of a longer text: a pattern is for reading. */
const TEXT_LENGTH_MAX = 512;
/** A key that is longer is no name any more. */
const KEY_LENGTH_MAX = 128;
const COMMAND_LENGTH_MAX = 64;

/**
 * Finds the template of a query text. Deterministic for a sequence of texts; the words that count as values are found on the
 * way, so a template may become more general: where `generalisedCount` has grown, `resolve` says what a known one is now.
 * Memory: the word trees (4 MB each, of keys and of paths) and two caches (8 MB each), whatever the texts are.
 */
export class Templates {
  readonly #keys: WordTree;
  readonly #paths: WordTree;
  readonly #sql: SqlParser | null;
  readonly #cache: TextLru<Template>;
  /** By their texts: a hash costs more than all else that is done with a key. */
  readonly #named: TextLru<Template>;
  #parsedCount = 0;
  #unparsedCount = 0;

  /** @param components.sql without one, SQL is told apart by its tokens alone. */
  constructor(
    settings: TemplateSettings = TEMPLATE_DEFAULTS,
    components: { readonly sql?: SqlParser | undefined } = {},
  ) {
    this.#keys = new WordTree(settings);
    this.#paths = new WordTree(settings);
    this.#sql = components.sql ?? null;
    const limits = { entriesMax: settings.cacheEntriesMax, bytesMax: settings.cacheBytesMax };
    this.#cache = new TextLru(limits);
    this.#named = new TextLru(limits);
  }

  /** New SQL texts that the parser took, and that it did not: those have been told apart by their tokens. */
  get sqlCounts(): { readonly parsedCount: number; readonly unparsedCount: number } {
    return { parsedCount: this.#parsedCount, unparsedCount: this.#unparsedCount };
  }

  get generalisedCount(): number {
    return this.#keys.generalisedCount + this.#paths.generalisedCount;
  }

  /**
   * @param text a command and its first key (`HGET user:17:cart`), a statement, the words of a search, or a request line.
   * @returns of a text that says nothing (only stop words, only comments) the template "(other)".
   */
  templateOf(kind: TemplateKind, text: string): Template {
    switch (kind) {
      case 'command':
        return this.#ofCommand(text);
      case 'http':
        return this.#ofPath(text);
      case 'search':
        return this.#cached(kind, text, () => templateFrom(kind, searchTemplate(text)));
      case 'sql':
        return this.#cached(kind, text, () => this.#ofSql(text));
    }
  }

  /** What a template that was told before is now. SQL and searches never change. */
  resolve(kind: TemplateKind, template: Template): Template {
    if (template.text === OTHER) return template;
    if (kind === 'command')
      return templateFrom(kind, this.#keys.resolve(splitKeyWords(template.text)).join(''));
    if (kind !== 'http') return template;
    const { words, query } = splitHttpText(template.text);
    return templateFrom(kind, this.#paths.resolve(words).join('') + query);
  }

  #ofCommand(text: string): Template {
    const space = text.search(/\s/);
    const command = (space < 0 ? text : text.slice(0, space)).toUpperCase().slice(0, COMMAND_LENGTH_MAX);
    const key = space < 0 ? '' : text.slice(space + 1, space + 1 + KEY_LENGTH_MAX);
    const pattern = keyPattern(key);
    const words = splitKeyWords(pattern === '' ? command : `${command} ${pattern}`);
    return this.#withName('command', this.#keys.learn(words).join(''));
  }

  #ofPath(text: string): Template {
    const { words, query } = httpWords(text);
    return this.#withName('http', this.#paths.learn(words).join('') + query);
  }

  #ofSql(text: string): Template {
    // A huge text (an import of thousands of rows) would keep the parser busy for a tenth of a second a megabyte.
    const parsed = text.length > SQL_LENGTH_MAX ? null : (this.#sql?.parse(text) ?? null);
    if (parsed === null) {
      this.#unparsedCount++;
      return templateFrom('sql', sqlTemplate(text));
    }
    this.#parsedCount++;
    const shown = sqlTemplate(parsed.normalised);
    return shown === '' ? templateFrom('sql', '') : { id: parsed.fingerprint, text: shown };
  }

  #withName(kind: TemplateKind, name: string): Template {
    const key = `${kind}\0${name}`;
    const known = this.#named.get(key);
    if (known !== undefined) return known;
    const template = templateFrom(kind, name);
    this.#named.set(key, template);
    return template;
  }

  #cached(kind: TemplateKind, text: string, analyse: () => Template): Template {
    const key = `${kind}\0${text}`;
    const known = this.#cache.get(key);
    if (known !== undefined) return known;
    const template = analyse();
    this.#cache.set(key, template);
    return template;
  }
}

export function templateFrom(kind: TemplateKind, text: string): Template {
  if (text === '') return OTHER_TEMPLATE;
  const cut = text.length > TEXT_LENGTH_MAX ? `${text.slice(0, TEXT_LENGTH_MAX - 1)}…` : text;
  return { id: hash64Hex(`${kind}\0${cut}`), text: ownCopy(cut) };
}

export const OTHER_TEMPLATE: Template = { id: hash64Hex(OTHER), text: OTHER };
