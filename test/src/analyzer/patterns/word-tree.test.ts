import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { splitKeyWords } from '../../../../src/analyzer/patterns/key-pattern.ts';
import { TemplateTable } from '../../../../src/analyzer/patterns/template-table.ts';
import { WORD_TREE_DEFAULTS, WordTree } from '../../../../src/analyzer/patterns/word-tree.ts';
import { seededRandom } from '../../../../src/base/random.ts';
import { testSeed } from '../../../support/seed.ts';

const test = suite('patterns/word-tree');
const SEED = testSeed('patterns/word-tree');
const WORDS = 'ash beech cedar elm fir hazel larch maple oak pine rowan yew'.split(' ');

/** What all names are called once the tree has seen all of them. */
function generalNames(names: readonly string[], tree = new WordTree()): string[] {
  for (const name of names) tree.learn(splitKeyWords(name));
  return [...new Set(names.map((name) => tree.resolve(splitKeyWords(name)).join('')))];
}

test('words are values where there are many of them in one place; kinds of keys stay apart', () => {
  check.equal(generalNames(WORDS.map((word) => `GET tree:${word}:age`)), ['GET tree:*:age']);
  check.is(
    generalNames(WORDS.slice(0, 8).map((word) => `GET tree:${word}`)).length,
    8,
    'few enough to be kinds',
  );
  check.is(generalNames(WORDS.map((word) => `GET ${word}:{n}`)).length, 12, 'first words are kinds');
  check.is(
    generalNames(WORDS.map((word) => `${word.toUpperCase()} key`)).length,
    12,
    'commands are no values',
  );
  const users = Array.from(
    { length: 100 },
    (_, i) => `GET ${WORDS[i % 12]}${'abcdefghi'[Math.floor(i / 12)]}`,
  );
  check.equal(generalNames(users), ['GET *']);
});

test('each place counts its own words: what follows a value is still told apart', () => {
  const names = WORDS.flatMap((word) => [`GET user:${word}:cart`, `GET user:${word}:orders`]);
  check.equal(generalNames(names), ['GET user:*:cart', 'GET user:*:orders']);
});

test('placeholders are no words: they neither count nor vanish', () => {
  const names = [...WORDS.map((word) => `GET tree:${word}`), 'GET tree:{n}', 'GET tree:{uuid}'];
  check.equal(generalNames(names), ['GET tree:*', 'GET tree:{n}', 'GET tree:{uuid}']);
});

test('the order of the names does not matter for what they are called in the end', () => {
  const random = seededRandom(SEED);
  const names = WORDS.flatMap((a) => WORDS.map((b) => `GET t:${a}:${b}:x`)).concat(
    WORDS.map((a) => `SET ${a}`),
  );
  const expected = generalNames(names).sort();
  for (let turn = 0; turn < 10; turn++) {
    const shuffled = names
      .map((name) => [random.nextFloat(), name] as const)
      .sort(([a], [b]) => a - b)
      .map(([, name]) => name);
    check.equal(generalNames(shuffled).sort(), expected);
  }
});

test('what another tree has found to be a value is one here from the first name on', () => {
  check.equal(generalNames(['GET tree:*', 'GET tree:gum', 'SET tree:gum']), ['GET tree:*', 'SET tree:gum']);
});

test('a million different keys of any shape stay within the nodes allowed, and all get a name', () => {
  const random = seededRandom(SEED);
  const tree = new WordTree({ ...WORD_TREE_DEFAULTS, nodesMax: 500 });
  const separators = ':/.|';
  let nodesMax = 0;
  for (let i = 0; i < 100_000; i++) {
    const words = Array.from(
      { length: 1 + random.nextBelow(6) },
      () => `w${random.nextBelow(1e6).toString(36)}`,
    );
    const key = words.join(separators[random.nextBelow(4)]);
    check.ok(tree.learn(splitKeyWords(`C${random.nextBelow(2000)} ${key}`)).length > 0);
    nodesMax = Math.max(nodesMax, tree.nodeCount);
  }
  check.ok(nodesMax <= 510, `${nodesMax} nodes`);
});

test('a table numbers templates; beyond its limit everything new is "other", and counted', () => {
  const table = new TemplateTable(2, new WordTree());
  const first = table.numberOf('HGET', 'user:1:cart');
  check.is(table.numberOf('HGET', 'user:99:cart'), first);
  check.is(table.names[first], 'HGET user:{n}:cart');
  check.is.not(table.numberOf('HSET', 'user:1:cart'), first);
  check.is(table.numberOf('GET', 'c'), 0);
  check.is(table.numberOf('HGET', 'user:3:cart'), first);
  check.is(table.overflowCount, 1);
});

test('what one window has found to be values is known in the next one', () => {
  const tree = new WordTree();
  const first = new TemplateTable(100, tree);
  for (const word of WORDS) first.numberOf('GET', `tree:${word}`);
  const second = new TemplateTable(1, tree);
  check.is(second.numberOf('GET', 'tree:ash'), second.numberOf('GET', 'tree:willow'));
  check.equal(second.names, ['(other)', 'GET tree:*']);
});

test.run();
