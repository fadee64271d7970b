/**
 * Packets that the kernel throws away, one way or both, in a network namespace of this run's own: there `lo` is all there is,
 * and no rule can reach anything else.
 */
import { spawnSync } from 'node:child_process';
import type { MigrationPhase } from '../../../src/model/migration.ts';
import { sleep } from '../../support/scenario.ts';
import type { RowContext, RowPlan } from './play-row.ts';
import { partitionOf } from './process-faults.ts';

const CUT_MS = 1_200;

interface PacketFault {
  readonly name: string;
  readonly phases: readonly MigrationPhase[];
  readonly side: 'source' | 'target';
  /** Rules of iptables for the port that the node listens on. */
  readonly rules: (port: string) => readonly (readonly string[])[];
}

const to = (port: string): string[] => ['INPUT', '-p', 'tcp', '--dport', port, '-j', 'DROP'];
const from = (port: string): string[] => ['INPUT', '-p', 'tcp', '--sport', port, '-j', 'DROP'];
const LOSS = ['-m', 'statistic', '--mode', 'random', '--probability', '0.1'];

const FAULTS: readonly PacketFault[] = [
  { name: 'packets to it are lost', side: 'source', phases: ['COPY', 'FENCING'], rules: (p) => [to(p)] },
  {
    name: 'packets from it are lost',
    side: 'source',
    phases: ['FENCING', 'CATCHUP'],
    rules: (p) => [from(p)],
  },
  { name: 'packets to it are lost', side: 'target', phases: ['FENCED'], rules: (p) => [to(p)] },
  { name: 'packets from it are lost', side: 'target', phases: ['SWITCHED'], rules: (p) => [from(p)] },
  { name: 'cut off', side: 'target', phases: ['SHIFT', 'SWITCHED'], rules: (p) => [to(p), from(p)] },
  {
    name: 'every tenth packet is lost',
    side: 'source',
    phases: ['COPY'],
    rules: (p) => [
      [...to(p).slice(0, 5), ...LOSS, '-j', 'DROP'],
      [...from(p).slice(0, 5), ...LOSS, '-j', 'DROP'],
    ],
  },
];

/** Set by the outer run for the inner one. */
export const NAMESPACE_VARIABLE = 'FORESHARD_FAULTS_NAMESPACE';

/** @returns why packets cannot be dropped here, or null when they can. */
export function whyNoPackets(): string | null {
  const probe = spawnSync(
    'unshare',
    ['-n', 'sh', '-c', 'ip link set lo up && iptables -w -A INPUT -j ACCEPT'],
    {
      encoding: 'utf8',
    },
  );
  if (probe.status === 0) return null;
  return `no network namespace with iptables: ${(probe.error?.message ?? probe.stderr).trim().slice(0, 200)}`;
}

/** @throws Error outside a namespace of our own, where a rule would hit others. */
export function assertOwnNamespace(): void {
  const links = spawnSync('ip', ['-o', 'link'], { encoding: 'utf8' }).stdout.trim().split('\n');
  if (process.env[NAMESPACE_VARIABLE] !== '1' || links.length !== 1 || !links[0]?.includes(' lo:'))
    throw new Error('packets are dropped only in a network namespace that has nothing but lo');
}

export function packetRows(): RowPlan[] {
  assertOwnNamespace();
  return FAULTS.flatMap((fault) =>
    fault.phases.map((phase) => ({
      stage: 'packets',
      phase,
      fault: fault.name,
      victim: fault.side,
      partitionId: partitionOf(phase),
      inject: (context: RowContext) => drop(fault, context),
    })),
  );
}

async function drop(fault: PacketFault, context: RowContext): Promise<void> {
  const nodeId = fault.side === 'source' ? context.sourceNodeId : context.targetNodeId;
  const port = String(context.cluster.cluster.addressOf(nodeId).port);
  const rules = fault.rules(port);
  for (const rule of rules) iptables('-A', rule);
  try {
    await context.onStruck();
    await sleep(CUT_MS);
  } finally {
    for (const rule of rules) iptables('-D', rule);
  }
}

function iptables(action: '-A' | '-D', rule: readonly string[]): void {
  const { status, stderr } = spawnSync('iptables', ['-w', action, ...rule], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`iptables ${action} ${rule.join(' ')}: ${stderr}`);
}
