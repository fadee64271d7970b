import { spawnSync } from 'node:child_process';
import { hostname } from 'node:os';
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { hasEtcd } from '../../plugin/node/local/local-etcd.ts';
import type { ClusterStatus } from '../../plugin/operator/status/gather-status.ts';
import { whyNoMachines } from '../support/machines.ts';
import { nodeArguments } from '../support/repository.ts';
import { requireOrSkip } from '../support/require.ts';
import { NAMESPACE_VARIABLE } from './faults/packet-faults.ts';
import type { MachinesReport } from './several-machines.ts';

const RUN_MS_MAX = 170_000;

const test = suite('a cluster of several machines');

const aliveAt = ({ nodes }: Pick<ClusterStatus, 'nodes'>): string[] =>
  nodes.map(({ nodeId, state, address }) => `${nodeId} ${state} ${address}`);

const why = whyNoMachines();
if (why !== null) console.log(why);
if (requireOrSkip('etcd', hasEtcd()) && requireOrSkip('netns', why === null))
  test('it forms, takes a machine in, loses its cable, and lets it go, with certificates and clocks that differ', () => {
    const shell = 'ip link set lo up && exec "$@"';
    const program = [process.execPath, ...nodeArguments('test/scenarios/several-machines.ts')];
    const child = spawnSync('unshare', ['-n', 'sh', '-c', shell, 'sh', ...program], {
      env: { ...process.env, [NAMESPACE_VARIABLE]: '1' },
      encoding: 'utf8',
      timeout: RUN_MS_MAX,
    });
    check.is(child.status, 0, child.stderr);
    const report = JSON.parse(child.stdout) as MachinesReport;
    const two = ['0 alive 10.77.0.10:7400', '1 alive 10.77.0.11:7400'];
    // It takes clients of its own machine only, and is asked there.
    const query = '10000 alive 10.77.0.1:6380';
    check.equal(aliveAt(report.formed), [...two, query]);
    check.equal(report.formed.alarms, []);
    check.is(report.uninvited.status, 2);
    check.match(report.uninvited.stderr, /has no such storage node, but 0, 1/);
    check.match(report.stranger, /node 0 could not be asked: .*self-signed certificate in certificate chain/);
    check.equal(aliveAt(report.joined), [...two, '2 alive 10.77.0.12:7400', query]);
    check.equal(report.joined.alarms, []);
    check.is(report.ownersAfterMoves[1], 2);
    check.is(report.ownersAfterMoves[9], report.hasMovedThroughCut ? 2 : 1);
    for (const { status, stdout, stderr } of [report.drained, report.removed, report.verified])
      check.is(status, 0, stdout + stderr);
    check.match(report.verified.stdout, /: 16 right, 0 wrong/);
    check.equal(report.orderedBy, [`join ${hostname()}`, 'drain db-1', `remove ${hostname()}`]);
    check.equal(report.lost, []);
    check.ok(report.acknowledged > 100, `${report.acknowledged} writes`);
    check.equal(report.ends, [0, 0, 0, 0]);
  });

test.run();
