import { spawnSync } from 'node:child_process';
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { hasEtcd } from '../../plugin/node/local/local-etcd.ts';
import { nodeArguments } from '../support/repository.ts';
import { requireOrSkip } from '../support/require.ts';
import { type CutOffReport, historyOf } from './etcd-history.ts';
import { NAMESPACE_VARIABLE, whyNoPackets } from './faults/packet-faults.ts';

/** The bar: from the healing to the end of a migration that was opened after it. */
const RESUMED_MS_MAX = 10_000;
const RUN_MS_MAX = 170_000;

const test = suite('etcd whose leader is cut off');

test('a second leader in one term, an old term after a new one, a lost commit: each is found in a history', () => {
  const leader = (revision: number, candidate: string | null, createRevision = revision) => ({
    key: 'l',
    value: candidate && JSON.stringify({ candidate }),
    revision,
    createRevision,
  });
  const log = (revision: number, candidate: string, term: number) => ({
    key: 'w',
    value: JSON.stringify({ candidate, term }),
    revision,
    createRevision: 2,
  });
  const violations = (
    events: Parameters<typeof historyOf>[0],
    acknowledged: Parameters<typeof historyOf>[1]['acknowledged'] = [],
  ) => historyOf(events, { leader: 'l', log: 'w', acknowledged }).violations.length;
  check.is(violations([leader(1, 'a'), log(2, 'a', 1), leader(3, null), leader(4, 'b'), log(5, 'b', 4)]), 0);
  check.is(violations([leader(1, 'a'), leader(2, null), log(3, 'a', 1)]), 1, 'nobody is in office');
  check.is(violations([leader(1, 'a'), leader(2, null), leader(3, 'b'), log(4, 'b', 3), log(5, 'a', 1)]), 2);
  check.is(violations([leader(1, 'a'), log(2, 'a', 1)], [{ candidate: 'a', term: 1, revision: 3 }]), 1);
});

const why = whyNoPackets();
if (requireOrSkip('etcd', hasEtcd()) && requireOrSkip('netns', why === null))
  test('no two coordinators commit, no query fails, migrations go on within 10 s of the healing', () => {
    const shell = 'ip link set lo up && exec "$@"';
    const child = spawnSync(
      'unshare',
      [
        '-n',
        'sh',
        '-c',
        shell,
        'sh',
        process.execPath,
        ...nodeArguments('test/scenarios/etcd-leader-cut-off.ts'),
      ],
      { env: { ...process.env, [NAMESPACE_VARIABLE]: '1' }, encoding: 'utf8', timeout: RUN_MS_MAX },
    );
    check.is(child.status, 0, child.stderr);
    const report = JSON.parse(child.stdout) as CutOffReport;
    console.log(JSON.stringify(report));
    check.equal(report.candidates.violations, []);
    check.ok(Object.keys(report.candidates.commitsByTerm).length > 0);
    check.is(report.failedQueries, 0);
    check.equal(report.lost, []);
    for (const { cut, movedAfterHealMs } of report.rounds)
      check.ok(movedAfterHealMs < RESUMED_MS_MAX, `${cut}: ${movedAfterHealMs} ms`);
  });

test.run();
