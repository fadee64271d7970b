import type { Command } from 'commander';
import { stressText } from '../../../src/affinity/relief/plan-relief.ts';
import { RpcStorageEngine } from '../../engines/migration-agent/rpc-storage-engine.ts';
import type { ReliefRecord } from '../../host/records/relief-record.ts';
import { coordinatorText } from '../../metadata/coordinator-status.ts';
import { withMetadata } from '../cluster-metadata.ts';
import { type CommonFlags, settingsOf, withConfig, withJson } from '../flags.ts';
import { withNodes } from '../operator-transport.ts';
import { printJson, printLine } from '../output.ts';
import { RELIEF_MEANING } from '../proposals/refusal-meaning.ts';
import { asRanges, asTime, counted, durationText } from '../units-text.ts';
import { formingLines, readForming } from './forming.ts';
import { type ClusterStatus, gatherStatus, type NodeStatus } from './gather-status.ts';
import { redisLines } from './redis-status.ts';

/** Something is wrong with the cluster, not with the command. */
export const EXIT_ALARMS = 3;

export function addStatusCommand(program: Command, exitWith: (code: number) => void): void {
  withJson(withConfig(program.command('status')))
    .description(
      'print coordinator, nodes, load, migrations, last plan and alarms; exit code 3 if there are any',
    )
    .action(async (flags: CommonFlags) => {
      const { settings } = await settingsOf(flags);
      await withMetadata(settings, async (metadata) => {
        const forming = await readForming(metadata, settings);
        if (forming !== null) {
          if (flags.json === true) printJson(forming);
          else for (const line of formingLines(forming)) printLine(line);
          return exitWith(EXIT_ALARMS);
        }
        await withNodes(settings, metadata, async (transport) => {
          const engine = new RpcStorageEngine(transport);
          const status = await gatherStatus(metadata, engine, { settings, nowMs: Date.now() });
          if (flags.json === true) printJson(status);
          else for (const line of statusLines(status)) printLine(line);
          if (status.alarms.length > 0) exitWith(EXIT_ALARMS);
        });
      });
    });
}

export function statusLines(status: ClusterStatus): string[] {
  const { metadata, coordinator, nodes, openMigrations, pauses, plan, alarms } = status;
  const phases = Object.entries(openMigrations).map(([phase, count]) => `${count} ${phase}`);
  const open = Object.values(openMigrations).reduce((sum, count) => sum + count, 0);
  const paused = [
    ...(pauses.isPaused ? ['all migrations paused'] : []),
    ...(pauses.pausedPartitionIds.length > 0
      ? [`partitions paused by themselves: ${asRanges(pauses.pausedPartitionIds)}`]
      : []),
  ];
  return [
    `cluster ${status.cluster}: ${counted(status.partitionCount, 'partition')}`,
    `metadata: ${metadata.kind}, revision ${metadata.revision}, the map read in ${metadata.readMs.toFixed(0)} ms`,
    `coordinator: ${coordinatorText(coordinator)}`,
    ...nodes.map(nodeLine),
    ...(status.redis ? redisLines(status.redis) : []),
    `${counted(open, 'migration')} open${phases.length > 0 ? `: ${phases.join(', ')}` : ''}`,
    ...paused,
    plan === null
      ? whyNoPlan(status)
      : `last plan: ${asTime(plan.atMs)}, ${counted(plan.moveCount, 'move')}${plan.refusal === null ? '' : `, ${plan.refusal}`}`,
    ...(status.relief === null ? [] : [reliefLine(status.relief)]),
    ...status.waits,
    ...alarms.map((alarm) => `ALARM: ${alarm}`),
  ];
}

/** "None" alone would leave open whether one comes. */
function whyNoPlan({ mode, cycleIntervalMs, windowMs, forecastFromMs }: ClusterStatus): string {
  const forecast =
    forecastFromMs === null
      ? `no forecast yet: it takes three windows of load, ${durationText(windowMs)} each`
      : `the last forecast begins at ${asTime(forecastFromMs)}`;
  return mode === 'observe'
    ? `no plan is written in mode observe; ${forecast}`
    : `no plan yet, one is made every ${durationText(cycleIntervalMs)}; ${forecast}`;
}

/** Modes without it say nothing of it. */
function reliefLine({ atMs, stresses, moves, refusal }: ReliefRecord): string {
  const came = refusal === null ? counted(moves.length, 'move') : `no move: ${RELIEF_MEANING[refusal]}`;
  return `last relief between cycles: ${asTime(atMs)}, ${stressText(stresses)}; ${came}`;
}

function nodeLine(node: NodeStatus): string {
  const { nodeId, role, state, storeState, address, version, startedAtMs, stoppedAtMs, zone } = node;
  const facts = [`${role} node ${nodeId}: ${state}`];
  if (state === 'stopped' && stoppedAtMs !== null) facts.push(`since ${asTime(stoppedAtMs)}`);
  if (storeState === 'draining' || storeState === 'retired') facts.push(storeState);
  facts.push(address, `version ${version || 'unknown'}`);
  if (state === 'alive') facts.push(`started ${asTime(startedAtMs)}`);
  if (zone !== null) facts.push(`zone ${zone}`);
  if (role === 'storage') {
    facts.push(counted(node.partitionCount, 'partition'), `epoch ${node.epoch}`);
    if (node.queriesPerSecond !== null) facts.push(`${node.queriesPerSecond.toFixed(1)} queries/s`);
    if (node.dataBytes !== null) facts.push(`${mebibytes(node.dataBytes)} of data`);
    if (node.freeBytes !== null) facts.push(`${mebibytes(node.freeBytes)} free`);
  }
  return facts.join(', ');
}

const mebibytes = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(1)} MiB`;
