import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { COMMANDS, commandIndexOf, findCommand, isArityRight } from '../../../plugin/commands/table.ts';

const test = suite('plugin/commands/table');
const find = (name: string): number => findCommand(Buffer.from(`xx${name}yy`, 'latin1'), 2, 2 + name.length);

test('finds every command in upper, lower and mixed case', () => {
  for (const spec of COMMANDS) {
    assert.is(find(spec.name), spec.index);
    assert.is(find(spec.name.toLowerCase()), spec.index);
    assert.is(find(spec.name[0].toLowerCase() + spec.name.slice(1)), spec.index);
  }
});

test('finds nothing for names that only look like a command', () => {
  for (const name of [
    '',
    'GE',
    'GETX',
    'G\x45T'.replace('E', '\xc5'),
    'G\x05T',
    'A'.repeat(5000),
    '\x00',
    'SET ',
    'flushall',
  ])
    assert.is(find(name), -1, JSON.stringify(name));
});

test('arity counts the name, and negative means at least', () => {
  const get = COMMANDS[commandIndexOf('GET')];
  const set = COMMANDS[commandIndexOf('SET')];
  assert.is(isArityRight(get, 1), true);
  assert.is(isArityRight(get, 2), false);
  assert.is(isArityRight(set, 1), false);
  assert.is(isArityRight(set, 2), true);
  assert.is(isArityRight(set, 6), true);
});

test('every command that is routed by key says where its keys are, and is either a read or a write', () => {
  for (const spec of COMMANDS) {
    if (spec.spread !== 'single' && spec.spread !== 'split') continue;
    assert.is(spec.firstKey, 1, spec.name);
    assert.is(spec.flags.includes('write') !== spec.flags.includes('readonly'), true, spec.name);
  }
});

test.run();
