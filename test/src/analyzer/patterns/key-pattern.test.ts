import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { keyPattern, splitKeyWords } from '../../../../src/analyzer/patterns/key-pattern.ts';

const test = suite('patterns/key-pattern');

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
    'user:*': 'user:?',
    '{}': '{}',
    'half:{cut-off-ta': 'half:{}',
  };
  for (const [key, pattern] of Object.entries(patterns)) assert.is(keyPattern(key), pattern, key);
});

test('a name is split so that putting it together gives the name again', () => {
  const name = 'HGET user:{n}:cart/a.b|c';
  assert.equal(splitKeyWords(name).slice(0, 5), ['HGET', ' ', 'user', ':', '{n}']);
  assert.is(splitKeyWords(name).join(''), name);
});

test.run();
