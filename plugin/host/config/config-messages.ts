import { readFileSync } from 'node:fs';
import { DEFAULT_SETTINGS } from '../../../src/settings.ts';
import type { SchemaIssue } from './config-schema.ts';

export type Tree = Record<string, unknown>;

export const isSecret = (path: readonly string[]): boolean => SECRETS.has(path.join('.'));

const SECRETS = new Set(['security.password', 'metadata.password', 'redis.password']);

/** One line for one mistake: where, which setting, what was found, what it must be instead. */
export function describeIssue(issue: SchemaIssue, raw: Tree, file: string | null, variable?: string): string {
  const line = file === null ? 0 : lineOf(file, issue.path);
  const where = variable ?? (line > 0 ? `${file}:${line}` : (file ?? 'settings'));
  const keys = issue.knownKeys === null ? withoutElement(issue.path) : issue.path;
  const path = keys.map(showKey).join('.');
  if (issue.knownKeys !== null) {
    const near = nearest(issue.path.at(-1) as string, issue.knownKeys);
    const hint =
      near === undefined
        ? `remove it (known here: ${issue.knownKeys.join(', ')})`
        : `did you mean ${near}? Rename or remove it`;
    return `${where}: ${path}: unknown setting: ${hint}`;
  }
  const found = isSecret(keys) ? 'a value that is not shown' : show(valueAt(raw, keys));
  const standard = valueAt(DEFAULT_SETTINGS as unknown as Tree, keys);
  const isShowable = Array.isArray(standard) || (typeof standard !== 'object' && standard !== undefined);
  const remedy = isShowable ? ` (default ${show(standard)})` : '';
  return `${where}: ${path || 'config'}: found ${found}, it must be ${issue.expected}${remedy}`;
}

/** A list of plain values is told as a whole: an element of its default is nobody's standard. */
function withoutElement(path: readonly string[]): readonly string[] {
  const list = path.slice(0, -1);
  return Array.isArray(valueAt(DEFAULT_SETTINGS as unknown as Tree, list)) ? list : path;
}

/** Why a config file is no JSON, YAML, TOML or module: each of their parsers tells the place in its own way. */
export function describeParseError(error: unknown, file: string): string {
  const { message } = error instanceof Error ? error : new Error(String(error));
  const what = (message.trim().split('\n', 1)[0] as string).replace(`${file}: `, '').trim();
  const line = parseErrorLine(error, message, readFileSync(file, 'utf8'));
  return `${file}${line > 0 ? `:${line}` : ''}: cannot be read: ${shortened(what, PARSE_MESSAGE_MAX)}: mend the file`;
}

/** Parsers repeat what they could not read, however long it is. */
const PARSE_MESSAGE_MAX = 300;

function parseErrorLine(error: unknown, message: string, text: string): number {
  const { line, mark } = error as { line?: unknown; mark?: { line?: unknown } };
  if (typeof line === 'number') return line;
  if (typeof mark?.line === 'number') return mark.line + 1;
  if (/end of JSON input/.test(message)) return text.trimEnd().split('\n').length;
  const position = /at position (\d+)/.exec(message)?.[1];
  if (position !== undefined) return text.slice(0, Number(position)).trimEnd().split('\n').length;
  return Number(/(?:\(|:)(\d+):\d+\)?\s*$/m.exec(message)?.[1] ?? 0);
}

/**
 * The line on which a setting stands, 1-based, or 0 if it cannot be told. The parsers keep no positions, so this looks
 * for the path's keys in order, each below the one before: right for every file a person would write.
 */
function lineOf(file: string, path: readonly string[]): number {
  const lines = readFileSync(file, 'utf8').split('\n');
  let at = 0;
  let found = 0;
  for (const key of path) {
    if (key.length > KEY_CHARACTERS_MAX) return found;
    const literal = key.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
    const pattern = new RegExp(`(^|[\\s{,.\\[])["']?${literal}["']?\\s*([:=\\].]|$)`);
    while (at < lines.length && !pattern.test(lines[at] as string)) at++;
    if (at === lines.length) return /^\d+$/.test(key) ? found : 0;
    found = at + 1;
  }
  return found;
}

function valueAt(tree: Tree, path: readonly string[]): unknown {
  let at: unknown = tree;
  for (const key of path) at = typeof at === 'object' && at !== null ? (at as Tree)[key] : undefined;
  return at;
}

/** No setting has a longer name, and a pattern of a key of kilobytes is none that can be compiled. */
const KEY_CHARACTERS_MAX = 100;

/** Text of others as it may stand in a message: what a terminal would obey is escaped. */
const showKey = (key: string): string => shortened(key, KEY_CHARACTERS_MAX);

function shortened(text: string, charactersMax: number): string {
  const cut = text.length > charactersMax ? `${text.slice(0, charactersMax)}...` : text;
  return cut.replace(
    /[\p{Cc}\p{Cs}\u2028\u2029]/gu,
    (found) => `\\u${found.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/** A value as it may stand in a message: JSON, cut, control characters escaped. */
export function show(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (typeof value === 'function') return 'a function';
  let text: string;
  try {
    text = JSON.stringify(value) ?? String(value);
  } catch {
    text = String(value);
  }
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}

/** The known key within two edits, if any; else the one that alone begins as most of this one does. */
function nearest(key: string, known: readonly string[]): string | undefined {
  if (key.length > KEY_CHARACTERS_MAX) return undefined;
  let best: string | undefined;
  let bestDistance = 3;
  for (const candidate of known) {
    const distance = editDistance(key.toLowerCase(), candidate.toLowerCase());
    if (distance < bestDistance) [best, bestDistance] = [candidate, distance];
  }
  if (best !== undefined) return best;
  const beginning = key.toLowerCase().slice(0, Math.max(4, Math.ceil(key.length * 0.7)));
  const alike = known.filter((candidate) => candidate.toLowerCase().startsWith(beginning));
  return alike.length === 1 ? alike[0] : undefined;
}

function editDistance(a: string, b: string): number {
  let above = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const substituted = (above[j - 1] as number) + (a[i - 1] === b[j - 1] ? 0 : 1);
      row.push(Math.min(substituted, (above[j] as number) + 1, (row[j - 1] as number) + 1));
    }
    above = row;
  }
  return above[b.length] as number;
}
