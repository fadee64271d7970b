import { setTimeout as delay } from 'node:timers/promises';
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { remindOfInsecureListen } from '../../../plugin/node/insecure-reminder.ts';
import {
  assertListenAllowed,
  isListenerGuarded,
  parseListenAddress,
} from '../../../plugin/node/listen-address.ts';
import { isLoopback } from '../../../src/base/loopback.ts';
import { DEFAULT_SETTINGS } from '../../../src/settings.ts';
import { KeptLog } from '../../support/kept-log.ts';

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
  const strict = { role: 'query', isGuarded: false, isInsecureAllowed: false } as const;
  check.throws(() => assertListenAllowed(open, strict), /serverCertificateFile.*--insecure-listen/);
  check.throws(() => assertListenAllowed(open, { ...strict, role: 'storage' }), /peerKeyFile/);
  assertListenAllowed(open, { ...strict, isInsecureAllowed: true });
  assertListenAllowed(open, { ...strict, isGuarded: true });
  assertListenAllowed({ host: '::1', port: 1 }, strict);
});

test('clients need TLS and AUTH, peers their certificates; one without the other is no guard', () => {
  const { security } = DEFAULT_SETTINGS;
  check.not.ok(isListenerGuarded('query', security));
  check.not.ok(isListenerGuarded('query', { ...security, serverKeyFile: 'k' }));
  check.not.ok(isListenerGuarded('query', { ...security, password: 'p' }));
  check.not.ok(isListenerGuarded('query', { ...security, peerKeyFile: 'k', password: 'p' }));
  check.ok(isListenerGuarded('query', { ...security, serverKeyFile: 'k', password: 'p' }));
  check.ok(isListenerGuarded('query', { ...security, serverKeyFile: 'k', usersFile: 'u' }));
  check.not.ok(isListenerGuarded('storage', { ...security, serverKeyFile: 'k', password: 'p' }));
  check.ok(isListenerGuarded('storage', { ...security, peerKeyFile: 'k' }));
});

test('who listens to strangers by consent says so again and again', async () => {
  const log = new KeptLog();
  const timer = remindOfInsecureListen({ host: '0.0.0.0', port: 6379 }, log, 5);
  check.is(log.lines.length, 1, 'at once');
  await delay(40);
  clearInterval(timer);
  check.ok(log.lines.length >= 2);
  check.match(log.text, /address that others can reach \(--insecure-listen\)/);
});

test.run();
