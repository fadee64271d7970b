import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { assertListenAllowed, isLoopback, parseListenAddress } from '../../../plugin/node/listen-address.ts';

const test = suite('listen address');

test('host and port are read, of both families', () => {
  check.equal(parseListenAddress('127.0.0.1:6379', 'x'), { host: '127.0.0.1', port: 6379 });
  check.equal(parseListenAddress('[::1]:0', 'x'), { host: '::1', port: 0 });
  for (const text of ['6379', ':6379', '127.0.0.1', '127.0.0.1:99999', '::1:6379', 'a b:1', ''])
    check.throws(() => parseListenAddress(text, 'node.clientListen'), /^node\.clientListen: found/, text);
});

test('only what this machine alone can reach is loopback', () => {
  for (const host of ['127.0.0.1', '127.8.9.1', '::1', 'localhost']) check.ok(isLoopback(host), host);
  for (const host of ['0.0.0.0', '::', '10.0.0.1', '127.evil.example', 'localhost.example', '1270.0.0.1'])
    check.not.ok(isLoopback(host), host);
});

test('an address that others can reach needs consent', () => {
  const open = { host: '0.0.0.0', port: 6379 };
  check.throws(() => assertListenAllowed(open, { isInsecureAllowed: false }), /--insecure-listen/);
  assertListenAllowed(open, { isInsecureAllowed: true });
  assertListenAllowed({ host: '::1', port: 1 }, { isInsecureAllowed: false });
});

test.run();
