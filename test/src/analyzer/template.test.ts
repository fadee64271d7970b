import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { generalTemplates, keyPattern, TemplateTable } from '../../../src/analyzer/template.ts';

const test = suite('analyzer/template');

test('what varies from key to key is replaced, the rest is kept', () => {
  const patterns: Record<string, string> = {
    'user:1234:cart': 'user:{n}:cart',
    'user:{1234}:cart': 'user:{}:cart',
    '{JFK}:departures': '{}:departures',
    'log:2024-01-02': 'log:{n}-{n}-{n}',
    'session:0123abcd-0123-4567-89ab-0123456789ab': 'session:{uuid}',
    'blob:deadbeef01:x': 'blob:{hex}:x',
    'cafe:menu': 'cafe:menu',
    'facade:decade': 'facade:decade',
    'a\x00\x01b': 'a?b',
    '': '',
    '{}': '{}',
    'half:{cut-off-ta': 'half:{}',
  };
  for (const [key, pattern] of Object.entries(patterns)) assert.is(keyPattern(key), pattern, key);
});

test('the same template has one number, whatever the key; the command is part of it', () => {
  const table = new TemplateTable(10);
  const first = table.numberOf('HGET', 'user:1:cart');
  assert.is(table.numberOf('HGET', 'user:99:cart'), first);
  assert.is.not(table.numberOf('HSET', 'user:1:cart'), first);
  assert.is(table.names[first], 'HGET user:{n}:cart');
});

test('beyond its limit everything new is "other", and counted', () => {
  const table = new TemplateTable(2);
  const known = table.numberOf('GET', 'a');
  table.numberOf('GET', 'b');
  assert.is(table.numberOf('GET', 'c'), 0);
  assert.is(table.numberOf('GET', 'd'), 0);
  assert.is(table.numberOf('GET', 'a'), known);
  assert.is(table.overflowCount, 2);
  assert.is(table.names.length, 3);
});

test('words are values where there are many of them in one place; kinds of keys stay apart', () => {
  const words = 'ash beech cedar elm fir hazel larch maple oak pine rowan yew'.split(' ');
  const general = (names: readonly string[]): string[] => [...new Set(generalTemplates(names).values())];
  assert.equal(general(words.map((word) => `GET tree:${word}:age`)), ['GET tree:*:age']);
  assert.equal(
    general(words.slice(0, 8).map((word) => `GET tree:${word}`)).length,
    8,
    'few enough to be kinds',
  );
  assert.equal(general(words.map((word) => `GET ${word}:{n}`)).length, 12, 'first words are kinds');
  assert.equal(
    general(words.map((word) => `${word.toUpperCase()} key`)).length,
    12,
    'commands are never values',
  );
  const users = Array.from(
    { length: 100 },
    (_, i) => `GET ${words[i % 12]}${'abcdefghij'[Math.floor(i / 12)]}`,
  );
  assert.equal(general(users), ['GET *']);
  assert.equal(general(['GET tree:*', 'GET tree:gum', 'SET tree:gum']), ['GET tree:*', 'SET tree:gum']);
});

test('a full table counts values by what they have in common, and only the rest as other', () => {
  const table = new TemplateTable(12);
  const numberOf = (word: string): number => table.numberOf('GET', `user:${word}`);
  const words = 'ash beech cedar elm fir hazel larch maple oak pine rowan'.split(' ');
  const first = words.map(numberOf)[0];
  table.numberOf('SET', 'total');
  assert.is(numberOf('yew'), first);
  assert.is(numberOf('ash'), first, 'known names keep their numbers');
  assert.is(table.names[first as number], 'GET user:*');
  assert.is(table.numberOf('GET', 'cart:{1}'), 0);
  assert.is(table.numberOf('DEL', 'user:yew'), 0);
  assert.is(table.overflowCount, 2);
});

test.run();
