import { suite } from 'uvu';
import * as check from 'uvu/assert';
import {
  isCertainlyNotApplied,
  isNotPermitted,
  mayPass,
  unavailable,
} from '../../../../plugin/metadata/etcd/faults.ts';

const test = suite("etcd's faults");

test('a transaction certainly was not applied only where no connection was made, or etcd says so', () => {
  const never = [
    '14 UNAVAILABLE: No connection established. Last error: connect ECONNREFUSED 127.0.0.1:2379. Resolution note: ',
    '14 UNAVAILABLE: round_robin: No connection established. Last error: connect EHOSTUNREACH 10.0.0.1:2379',
    '14 UNAVAILABLE: Name resolution failed for target dns:nowhere.invalid:2379',
    'getaddrinfo ENOTFOUND nowhere.invalid',
    'etcdserver: mvcc: database space exceeded',
  ];
  for (const text of never) check.ok(isCertainlyNotApplied(new Error(text)), text);
  // The request may have gone out over the connection that these ended.
  const perhaps = [
    '14 UNAVAILABLE: read EHOSTUNREACH',
    '14 UNAVAILABLE: write ENETUNREACH',
    '14 UNAVAILABLE: Connection dropped: ECONNREFUSED',
    '14 UNAVAILABLE: read ECONNRESET',
    '4 DEADLINE_EXCEEDED: Deadline exceeded',
  ];
  for (const text of perhaps) check.not.ok(isCertainlyNotApplied(new Error(text)), text);
});

test('a refusal names the settings that may be wrong', () => {
  const error = unavailable('read map/7', ['https://a:2379'], new Error('etcdserver: permission denied'));
  check.is(error.code, 'FORESHARD_CONFIG');
  for (const name of ['metadata.user', 'metadata.passwordFile', 'metadata.authorityFile'])
    check.match(error.message, name);
});

test('every kind of refusal has its code, and says whether another try may help', () => {
  for (const [text, code, passes] of [
    ['etcdserver: mvcc: database space exceeded', 'FORESHARD_DISK_FULL', true],
    ['etcdserver: request is too large', 'FORESHARD_LIMIT', false],
    ['etcdserver: invalid auth token', 'FORESHARD_CONFIG', false],
    ['14 UNAVAILABLE: etcdserver: no leader', 'FORESHARD_UNAVAILABLE', true],
  ] as const) {
    const cause = new Error(text);
    const error = unavailable('write map/7', ['http://a:2379', 'http://b:2379'], cause);
    check.is(error.code, code, text);
    check.is(error.cause, cause);
    check.match(error.message, 'http://a:2379, http://b:2379');
    check.match(error.message, 'write map/7');
    check.is(mayPass(cause), passes, text);
  }
});

test('what a user may not do is told from what nobody can', () => {
  const denied = new Error('etcdserver: permission denied');
  check.is(isNotPermitted(unavailable('read map/7', ['a'], denied)), true);
  check.is(isNotPermitted(unavailable('read map/7', ['a'], new Error('no leader'))), false);
  check.is(isNotPermitted(denied), false, 'an error that nobody has translated');
});

test.run();
