import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { isCertainlyNotApplied, unavailable } from '../../../../plugin/metadata/etcd/faults.ts';

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

test.run();
