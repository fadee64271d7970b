import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { redisKeys } from '../../../plugin/logs/redis-commands.ts';
import { firstKeyOf, redisCommand } from '../../../plugin/redis/commands.ts';

const test = suite('commands of captured clients');

test('keys of streams stand after the word STREAMS, not after a group, a consumer or a count of that name', () => {
  const asked: [string, string[], string | undefined][] = [
    ['XREADGROUP', ['GROUP', 'streams', 'c', 'STREAMS', 'k', '>'], 'k'],
    ['XREADGROUP', ['group', 'g', 'STREAMS', 'COUNT', '1', 'NOACK', 'streams', 'k', '>'], 'k'],
    ['XREAD', ['COUNT', '1', 'BLOCK', '0', 'STREAMS', 'streams', '0'], 'streams'],
    ['XREAD', ['COUNT', '1'], undefined],
  ];
  for (const [name, args, key] of asked) {
    check.is(firstKeyOf(redisCommand(name), args, 0), key, args.join(' '));
    check.is(firstKeyOf(redisCommand(name), [name, ...args], 1), key, args.join(' '));
    check.is(redisKeys(name, args)[0], key, `${args.join(' ')} in a log`);
  }
});

test('names are text or bytes; what is neither belongs to no slot', () => {
  check.is(redisCommand(Buffer.from('get')), redisCommand('GET'));
  for (const name of [5, undefined, null, {}, Symbol('x')]) check.ok(redisCommand(name).isKeyless);
});

test.run();
