/** What the judge of the rounds with Redis must find. */
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { wrongElements } from './redis-load.ts';

const test = suite('faults: lists of a Redis Cluster');

const judge = (stored: readonly string[]): string[] =>
  wrongElements('list', stored, { acknowledged: ['1', '2'], doubtful: new Set(['3']) });

test('what was acknowledged is there once, what is in doubt at most once', () => {
  check.equal(judge(['1', '2']), []);
  check.equal(judge(['2', '1', '3']), []);
});

test('elements that are lost, doubled or nobody’s are told', () => {
  check.equal(judge(['1']), ['list: 2 is lost']);
  check.equal(judge(['1', '2', '2']), ['list: 2 is there 2 times']);
  check.equal(judge(['1', '2', '3', '3']), ['list: 3 is there 2 times']);
  check.equal(judge(['1', '2', '9']), ['list: nobody wrote 9']);
});

test.run();
