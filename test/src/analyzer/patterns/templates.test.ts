import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { openPostgresParser } from '../../../../plugin/templates/postgres-sql.ts';
import { hash64Hex } from '../../../../src/analyzer/patterns/hash.ts';
import { TextLru } from '../../../../src/analyzer/patterns/lru.ts';
import {
  TEMPLATE_DEFAULTS,
  TEMPLATE_KINDS,
  type TemplateKind,
  Templates,
} from '../../../../src/analyzer/patterns/templates.ts';
import { seededRandom } from '../../../../src/base/random.ts';
import { testSeed } from '../../../support/seed.ts';

const test = suite('patterns/templates');
const SEED = testSeed('patterns/templates');

const textOf = (kind: TemplateKind, text: string): string => new Templates().templateOf(kind, text).text;

test('the hash is FNV-1a of 64 bits, by its published values', () => {
  check.is(hash64Hex(''), 'cbf29ce484222325');
  check.is(hash64Hex('a'), 'af63dc4c8601ec8c');
  check.is(hash64Hex('foobar'), '85944171f73967e8');
  const bigint = (text: string): string => {
    let hash = 0xcbf29ce484222325n;
    for (const byte of Buffer.from(text))
      hash = ((hash ^ BigInt(byte)) * 0x100000001b3n) & 0xffff_ffff_ffff_ffffn;
    return hash.toString(16).padStart(16, '0');
  };
  for (const text of ['GET user:{n}', 'größer → ☃', 'x'.repeat(1000)])
    check.is(hash64Hex(text), bigint(text));
});

test('ids are the same in another process: these are written down here', () => {
  check.equal(
    [
      new Templates().templateOf('command', 'hget user:17:cart'),
      new Templates().templateOf('http', 'GET /users/17'),
      new Templates().templateOf('search', 'Red Shoes'),
    ],
    [
      { id: hash64Hex('command\0HGET user:{n}:cart'), text: 'HGET user:{n}:cart' },
      { id: hash64Hex('http\0GET /users/{n}'), text: 'GET /users/{n}' },
      { id: hash64Hex('search\0red shoes'), text: 'red shoes' },
    ],
  );
  check.is(new Templates().templateOf('http', 'GET /users/17').id, '37f53e1229b7def7');
});

test('SQL with other literals, another layout and longer lists is one template, by the parser and without it', async () => {
  const groups = [
    [
      "SELECT * FROM users WHERE name = 'alice' AND id IN (1, 2, 3)",
      "select  *\n from users -- who?\n where name='bob' and id in (7)",
      "SELECT * FROM users WHERE name = 'O''Hara' AND id IN (-1, 2.5e3)",
    ],
    ["INSERT INTO t (a, b) VALUES (1, 'x')", "insert into t(a,b) values (2, 'y'), (3, 'z'), (4, '')"],
    ['INSERT INTO s VALUES (1, 2)', 'insert into s values (1,2),(3,4),(5,6)'],
    ['SELECT $1::int, count(*) FROM t', 'SELECT 5::int, count(*) FROM t'],
    ['SELECT $$it is$$ FROM t', "SELECT E'it\\'s' FROM t"],
  ];
  for (const sql of [await openPostgresParser(), undefined]) {
    const templates = new Templates(TEMPLATE_DEFAULTS, { sql });
    const ids = groups.map((texts) => {
      const found = texts.map((text) => templates.templateOf('sql', text));
      check.is(new Set(found.map(({ id }) => id)).size, 1, JSON.stringify(found));
      check.not.match(found.map(({ text }) => text).join(), /alice|bob|Hara|it is/);
      return found[0]?.id;
    });
    check.is(new Set(ids).size, groups.length);
    const { parsedCount, unparsedCount } = templates.sqlCounts;
    check.is(sql === undefined ? parsedCount : unparsedCount, 0);
  }
});

test('with a parser the id is its fingerprint', async () => {
  const templates = new Templates(TEMPLATE_DEFAULTS, { sql: await openPostgresParser() });
  check.equal(templates.templateOf('sql', 'SELECT * FROM users WHERE id = 1'), {
    id: 'a0ead580058af585',
    text: 'select * from users where id = ?',
  });
});

test('SQL that does not parse is told apart by its tokens, without its literals, and counted', async () => {
  const templates = new Templates(TEMPLATE_DEFAULTS, { sql: await openPostgresParser() });
  const texts: Record<string, string> = {
    'UPDATE `t` SET a = "secret" LIMIT 5, 10': 'update t set a = ? limit ?+',
    'SELEC * FORM t WHERE id = 17': 'selec * form t where id = ?',
    "SELECT 'unterminated secret": 'select ?',
    'SELECT "a""b" FROM t WHERE x = /* secret */ 5 AND': 'select "a""b" from t where x = ? and',
    'INSERT INTO t ("a", "b") VALUES ("secret", "secret"), (1, "secret") ON DUPLICATE KEY':
      'insert into t("a", "b") values(?+) on duplicate key',
    'SELECT @v := 7': 'select @v := ?',
    "SELECT 1 \0 'secret'": 'select ? \0 ?',
  };
  for (const [text, expected] of Object.entries(texts))
    check.is(templates.templateOf('sql', text).text, expected, text);
  check.equal(templates.sqlCounts, { parsedCount: 0, unparsedCount: Object.keys(texts).length });
  check.is(templates.templateOf('sql', '-- only a comment').text, '(other)');
  check.is(templates.templateOf('sql', '').text, '(other)');
});

test('a huge text costs little and is cut: the parser never sees it', () => {
  let parsed = 0;
  const sql = {
    parse: () => {
      parsed++;
      return null;
    },
  };
  const templates = new Templates(TEMPLATE_DEFAULTS, { sql });
  const rows = Array.from({ length: 300_000 }, (_, i) => `(${i}, 'secret${i}')`).join(', ');
  const { text } = templates.templateOf('sql', `INSERT INTO t VALUES ${rows}`);
  check.is(parsed, 0);
  check.ok(text.startsWith('insert into t values(?+)') && text.length < 60, text);
  for (const kind of TEMPLATE_KINDS)
    for (const piece of ['(', "'", '/* ', '"', 'a.', '$x$', '\\', 'é ', '-'])
      check.ok(templates.templateOf(kind, piece.repeat(200_000)).text.length <= 512, `${kind} ${piece}`);
});

test('whatever the text is, there is a template and the same text has the same one', async () => {
  const random = seededRandom(SEED);
  const alphabet = [
    ...'ab1 \'"`$()[]{}<>=-/*\\.,;:?%&#\n\0é☃',
    '--',
    '/*',
    '*/',
    'SELECT ',
    ' IN ',
    'VALUES ',
  ];
  const templates = new Templates(TEMPLATE_DEFAULTS, { sql: await openPostgresParser() });
  for (let i = 0; i < 3_000; i++) {
    const length = random.nextBelow(30);
    const text = Array.from({ length }, () => alphabet[random.nextBelow(alphabet.length)]).join('');
    for (const kind of TEMPLATE_KINDS) {
      const { id } = templates.templateOf(kind, text);
      check.match(id, /^[0-9a-f]{16}$/);
      if (kind === 'sql' || kind === 'search') check.is(templates.templateOf(kind, text).id, id);
    }
  }
});

test('a search is the set of its terms', () => {
  check.is(textOf('search', 'The red shoes, size 42'), 'red shoes size {n}');
  check.is(textOf('search', 'SIZE 37 shoes red red'), 'red shoes size {n}');
  check.is(textOf('search', '"New  York" hotels'), '"new york" hotels');
  check.is.not(textOf('search', '"york new" hotels'), textOf('search', '"new york" hotels'));
  check.is(textOf('search', 'ΚΑΦΈΣ café'), textOf('search', 'café καφές'.normalize('NFD')));
  check.is(textOf('search', 'to be or not to be'), '(other)');
  check.is(
    textOf('search', 'a1 b2 c3 d4 e5 f6 g7 h8 i9 j0').split(' ').length,
    9,
    'eight and a sign that there were more',
  );
});

test('an HTTP request is its method, its path without values, the names of its parameters', () => {
  const paths: Record<string, string> = {
    'GET /users/42?tab=cart&a=1 HTTP/1.1': 'GET /users/{n}?a&tab',
    '/users/43/?tab=&a=2&a=3': 'GET /users/{n}?a&tab',
    'post https://shop.example:8080/api/v2/items/0123abcd-0123-4567-89ab-0123456789ab#top':
      'POST /api/v2/items/{uuid}',
    'GET /t/eyJhbGciOiJIUzI1NiIsInR5cCI6/x': 'GET /t/{token}/x',
    'GET /a%20b/%zz': 'GET /a b/%zz',
    'GET /': 'GET /',
    '': 'GET',
  };
  for (const [request, expected] of Object.entries(paths))
    check.is(textOf('http', request), expected, request);
});

test('names in a path become values when there are many, for what was told before, too', () => {
  const templates = new Templates();
  const words = 'ash beech cedar elm fir hazel larch maple oak pine rowan yew'.split(' ');
  const first = templates.templateOf('http', `GET /tree/${words[0]}/age?unit=y`);
  check.is(first.text, 'GET /tree/ash/age?unit');
  for (const word of words) templates.templateOf('http', `GET /tree/${word}/age`);
  check.is(templates.resolve('http', first).text, 'GET /tree/*/age?unit');
  check.is(templates.templateOf('http', 'GET /tree/gum/age?unit=1').id, templates.resolve('http', first).id);
});

test('the cache is bounded in entries and in bytes, and keeps what was used last', () => {
  const lru = new TextLru<number>({ entriesMax: 3, bytesMax: 1_000 });
  for (const [i, text] of ['a', 'b', 'c'].entries()) lru.set(text, i);
  lru.get('a');
  lru.set('d', 3);
  check.equal([lru.get('a'), lru.get('b'), lru.size], [0, undefined, 3]);
  lru.set('x'.repeat(60), 4);
  check.is(lru.get('x'.repeat(60)), undefined, 'too large to be kept at all');
  const small = new TextLru<number>({ entriesMax: 1_000, bytesMax: 1_000 });
  for (let i = 0; i < 500; i++) small.set(`text number ${i}`, i);
  check.ok(small.bytes <= 1_000 && small.size > 10, `${small.size} entries, ${small.bytes} bytes`);
});

test.run();
