/** The cluster as it is found from here. */
import { coordinatorText } from '../../metadata/coordinator-status.ts';
import type { ClusterStatus, NodeStatus } from '../status/gather-status.ts';
import { counted } from '../units-text.ts';
import { type Finding, fail, ok, warn } from './findings.ts';

/** A fence is only put up while the store answers faster than this, by far. */
const SLOW_READ_MS = 100;

export function judgeCluster({ metadata, nodes, coordinator, alarms }: ClusterStatus): Finding[] {
  const alive = nodes.filter(({ state }) => state === 'alive');
  return [
    judgeStore(metadata),
    ...nodes.filter(({ state }) => state === 'dead').map(judgeDead),
    // A Redis Cluster's servers are looked at by themselves.
    ...(nodes.length === 0
      ? []
      : [ok('nodes', `${counted(alive.length, 'node')} of ${nodes.length} alive`), judgeVersions(alive)]),
    coordinator.state === 'leading'
      ? ok('coordinator', coordinatorText(coordinator))
      : fail('coordinator', coordinatorText(coordinator), 'a query node whose plugin is attached has to run'),
    ...alarms.map((alarm) => warn('alarm', alarm, '`foreshard status` says more')),
  ];
}

function judgeStore({ kind, readMs }: ClusterStatus['metadata']): Finding {
  const found = `${kind}, the map read in ${readMs.toFixed(0)} ms`;
  return readMs <= SLOW_READ_MS
    ? ok('metadata store', found)
    : warn('metadata store', found, 'it should take milliseconds: look at its disk, its network, its load');
}

const judgeDead = ({ nodeId, role, address, silence }: NodeStatus): Finding =>
  fail(
    `node ${nodeId}`,
    `${role} node at ${address} does not answer: ${silence ?? 'it says nothing'}`,
    'start it again, or see whether a firewall stands between',
  );

function judgeVersions(alive: readonly NodeStatus[]): Finding {
  const versions = [...new Set(alive.map(({ version }) => version))].sort();
  return versions.length <= 1
    ? ok('versions', versions[0] ?? 'no node is alive')
    : warn('versions', versions.join(', '), 'fine during a rolling upgrade; finish it');
}
