import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { sizeOfArguments, sizeOfReply } from '../../../plugin/redis/sizes.ts';

const test = suite('sizes of commands and replies');

/** A Map or Set that counts how many of its entries anybody has asked for. */
const counting = <T extends Map<string, string> | Set<string>>(collection: T): { visits: number } => {
  const counter = { visits: 0 };
  const iterate = collection[Symbol.iterator].bind(collection);
  Object.defineProperty(collection, Symbol.iterator, {
    *value() {
      for (const entry of { [Symbol.iterator]: iterate }) {
        counter.visits++;
        yield entry;
      }
    },
  });
  return counter;
};

const NAMES = Array.from({ length: 10_000 }, (_, i) => String(i).padStart(5, '0'));

test('of a long reply few entries are read, and the rest is taken to go on like them', () => {
  const map = new Map(NAMES.map((name) => [name, 'value']));
  const set = new Set(NAMES);
  const [mapVisits, setVisits] = [counting(map), counting(set)];
  let reads = 0;
  const object = new Proxy(Object.fromEntries(NAMES.map((name) => [`f${name}`, 'value'])), {
    get(target, name) {
      reads++;
      return target[name as string];
    },
  });
  // A frame of 7 bytes around each value and around them all.
  check.is(sizeOfReply(map), 7 + 10_000 * (5 + 7 + 5 + 7));
  check.is(sizeOfReply(set), 7 + 10_000 * (5 + 7));
  check.is(sizeOfReply(object), 7 + 10_000 * (6 + 7 + 5 + 7));
  for (const visits of [mapVisits.visits, setVisits.visits, reads])
    check.ok(visits >= 1 && visits <= 256, `${visits} were read`);
});

test('short replies are sized whole', () => {
  check.is(sizeOfReply(new Map([['a', ['bc', 1]]])), 7 + 8 + (7 + 9 + 8));
  check.is(sizeOfReply({ a: null }), 7 + 8 + 8);
  check.is(sizeOfReply([]), 7);
});

test('arguments that no library sends weigh nothing but their frame', () => {
  check.is(sizeOfArguments(['set', Buffer.from('k'), undefined, null, 5, {}, Symbol('x')]), 7 + 7 * 7 + 4);
});

test.run();
