import type { QueryKind } from './log-record.ts';

const SQL_VERBS = new Set(
  (
    'select insert update delete merge with values table call copy truncate create alter drop begin start commit end rollback ' +
    'abort savepoint release set reset show explain analyze vacuum fetch declare close move execute prepare deallocate lock ' +
    'listen notify do'
  ).split(' '),
);
const SQL_WRITES = new Set('insert update delete merge truncate create alter drop'.split(' '));
const WORD = /[a-z]+(?![\w.:|-])/iy;

const HTTP =
  /^(GET|HEAD|POST|PUT|DELETE|PATCH|OPTIONS|CONNECT|TRACE|PROPFIND|REPORT|MKCOL|COPY|MOVE) (\/|\*$|https?:\/\/)/;
const COMMAND = /^[A-Za-z][A-Za-z0-9._|-]*$/;

/** What a query is written in, where the log does not say: HTTP by its path, SQL by its verb, a command by being with keys. */
export function queryKindOf(query: string, keyCount: number): QueryKind {
  if (HTTP.test(query)) return 'http';
  if (keyCount > 0 && COMMAND.test(query)) return 'command';
  if (sqlVerb(query) !== undefined) return 'sql';
  return keyCount > 0 ? 'command' : 'search';
}

/** By its first verb; a function that writes, called by SELECT, is not seen. A WITH writes if a writing verb follows at all. */
export function isSqlWrite(query: string): boolean {
  const verb = sqlVerb(query);
  if (verb === 'with') return /\b(insert\s+into|update|delete\s+from|merge\s+into)\b/i.test(query);
  if (verb === 'copy') return /\bfrom\b/i.test(query);
  return verb !== undefined && SQL_WRITES.has(verb);
}

/** The first word after spaces, comments and brackets, in lower case, if it begins a statement of SQL. */
function sqlVerb(query: string): string | undefined {
  WORD.lastIndex = statementStart(query);
  const word = WORD.exec(query)?.[0].toLowerCase();
  return word !== undefined && SQL_VERBS.has(word) ? word : undefined;
}

function statementStart(query: string): number {
  let at = 0;
  while (at < query.length) {
    if (query.startsWith('--', at)) at = endAfter(query, '\n', at);
    else if (query.startsWith('/*', at)) at = endAfter(query, '*/', at + 2);
    else if (' \t\r\n('.includes(query[at] as string)) at++;
    else break;
  }
  return at;
}

function endAfter(text: string, mark: string, from: number): number {
  const at = text.indexOf(mark, from);
  return at === -1 ? text.length : at + mark.length;
}

/** Methods that RFC 9110 calls safe change nothing. */
export const isHttpWrite = (method: string): boolean =>
  !/^(GET|HEAD|OPTIONS|TRACE|CONNECT|PROPFIND|REPORT)$/i.test(method);
