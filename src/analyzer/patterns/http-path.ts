import { keyPattern } from './key-pattern.ts';

/** Of a target; what comes after is not looked at. Servers refuse targets of more than some 8 KiB. */
const TARGET_LENGTH_MAX = 4096;
const SEGMENTS_MAX = 16;
const PARAMETERS_MAX = 16;
const NAME_LENGTH_MAX = 32;

/** `v1` in a path names a version of an interface, not a value. */
const VERSION = /^v\d{1,2}$/i;
/** Longer than words are, with digits among the letters: an opaque identifier, such as base64. */
const TOKEN = /^(?=.*[0-9])(?=.*[A-Za-z])[\w.~+=-]{20,}$/;

/**
 * An HTTP request as words and separators in turn, for a `WordTree`: method, then the segments of the path with values replaced;
 * and the names of the query string's parameters, without their values.
 *
 * `GET /users/42?tab=cart&a=1 HTTP/1.1` -> words `GET`, ` /`, `users`, `/`, `{n}`; query `?a&tab`.
 *
 * @param text a request line, or method and target; a target without a method counts as GET.
 */
export function httpWords(text: string): { readonly words: string[]; readonly query: string } {
  const parts = text.slice(0, TARGET_LENGTH_MAX).trim().split(/\s+/);
  const hasMethod = parts.length > 1 && /^[A-Za-z]+$/.test(parts[0] as string);
  const method = hasMethod ? (parts[0] as string).toUpperCase().slice(0, NAME_LENGTH_MAX) : 'GET';
  const target = (hasMethod ? parts[1] : parts[0]) ?? '';
  const [path = '', parameters = ''] = withoutFragment(withoutOrigin(target)).split(/\?(.*)/s);
  const segments = path.split('/').slice(1, SEGMENTS_MAX + 1);
  // `/users/` and `/users` are one thing to nearly every server.
  if (segments.length > 1 && segments.at(-1) === '') segments.pop();
  const words = [
    method,
    ...segments.flatMap((segment, i) => [i === 0 ? ' /' : '/', segmentPattern(segment)]),
  ];
  const names = parameterNames(parameters);
  return { words, query: names.length === 0 ? '' : `?${names.join('&')}` };
}

/** The words of a template's text. */
export function splitHttpText(text: string): { readonly words: string[]; readonly query: string } {
  const [path = '', names] = text.split(/\?(.*)/s);
  return { words: path.split(/( \/|\/)/), query: names === undefined ? '' : `?${names}` };
}

const withoutOrigin = (target: string): string => target.replace(/^[a-z][a-z0-9+.-]*:\/\/[^/?#]*/i, '');
const withoutFragment = (target: string): string => target.replace(/#.*$/s, '');

function segmentPattern(segment: string): string {
  const text = decoded(segment);
  if (VERSION.test(text)) return text.toLowerCase();
  const pattern = keyPattern(text);
  return TOKEN.test(text) && !pattern.includes('{uuid}') ? '{token}' : pattern.slice(0, NAME_LENGTH_MAX);
}

function decoded(segment: string): string {
  if (!segment.includes('%')) return segment;
  try {
    return decodeURIComponent(segment);
  } catch {
    return segment;
  }
}

/** Sorted and without repetitions: `?a=1&b=2` and `?b=3&a=4&a=5` are one. */
function parameterNames(query: string): string[] {
  const names = query
    .split('&')
    .map((pair) => keyPattern(decoded(pair.split('=', 1)[0] as string)).slice(0, NAME_LENGTH_MAX))
    .filter((name) => name !== '');
  return [...new Set(names)].sort().slice(0, PARAMETERS_MAX);
}
