import { counted, gapText } from '../units-text.ts';
import type { PlanResult } from './plan-result.ts';

const ROWS_MAX = 40;

/** What `foreshard plan` prints for people. */
export function planLines(result: PlanResult, optimizer: string): string[] {
  const gap = result.gap === null ? '' : `, ${gapText(result.gap)}`;
  const lines = [
    `cost ${result.costBefore.toFixed(4)} -> ${result.costAfter.toFixed(4)} points (bound ${result.lowerBound.toFixed(4)}${gap})${overTime(result)}; ` +
      `highest utilisation ${percent(result.peakMeanBefore)} -> ${percent(result.peakMeanAfter)}, with its allowance for error ` +
      `${percent(result.peakBefore)} -> ${percent(result.peakAfter)}; ${optimizer}`,
    ...result.notes.map((note) => `note: ${note}`),
  ];
  if (result.penaltyBefore > 0)
    lines.push(
      `of the cost ${result.penaltyBefore.toFixed(4)} -> ${result.penaltyAfter.toFixed(4)} points stand for partitions that are not where they have to be`,
    );
  const { firstBreach: breach } = result;
  if (breach !== null)
    lines.push(
      `if nothing is done, ${breach.node} leaves its comfort zone in slot ${breach.slot}: ${percent(breach.utilisation)} of its ${breach.resource}`,
    );
  for (const { node, partitions } of result.notDrained)
    lines.push(`${node} is not empty: ${stays(partitions)}`);
  for (const { id, node, refusal } of result.inBreach)
    lines.push(`${id} stays on ${node}, where the rules do not want it (${refusal})`);
  if (result.refusal !== null) lines.push(`nothing moves: ${result.refusal}`);
  result.moves.slice(0, ROWS_MAX).forEach((move, i) => {
    lines.push(
      `${String(i + 1).padStart(3)}. ${move.partition}: ${move.source} -> ${move.target}, ${move.startTime ?? `slot ${move.startSlot}`}, ` +
        `gain ${move.gain.toPrecision(3)}, cost ${move.cost.toPrecision(3)} points${withOthers(move.unit)}: ${move.reason}`,
    );
  });
  if (result.moves.length > ROWS_MAX)
    lines.push(`     and ${result.moves.length - ROWS_MAX} more: see --json`);
  for (const { partition, source, target, code, reason } of result.leftOut)
    lines.push(`not in time: ${partition}: ${source} -> ${target} (${code}: ${reason})`);
  for (const { partition, target, gain, refusal, reason } of result.blocked)
    lines.push(
      `not moved: ${partition} to ${target} would gain ${gain.toPrecision(3)} (${refusal}: ${reason})`,
    );
  for (const { partition, resource, slot, utilisation } of result.oversized)
    lines.push(
      `too large for any node: ${partition} takes ${percent(utilisation)} of the largest in ${resource}, slot ${slot}: split it, or add a larger node`,
    );
  return [...lines, ...result.growth.map(growthLine)];
}

function growthLine(advice: PlanResult['growth'][number]): string {
  switch (advice.kind) {
    case 'add-nodes':
      return (
        `no map is good enough: from slot ${advice.slot} on all nodes together are at ${percent(advice.utilisation)} of their ` +
        `${advice.resource}: add ${counted(advice.nodeCount, 'node')}`
      );
    case 'split-partition':
      return (
        `${advice.partition} is too hot for any node's comfort zone: in slot ${advice.slot} it alone is ${percent(advice.utilisation)} of the ` +
        `roomiest one's ${advice.resource}: split it`
      );
    case 'still-stressed':
      return (
        `no better map was found, though none is ruled out: ${advice.node} is at ${percent(advice.utilisation)} of its ` +
        `${advice.resource} in slot ${advice.slot}`
      );
    case 'remove-nodes':
      return `${counted(advice.nodeCount, 'node')} can go: the others would be at ${percent(advice.utilisation)} at the highest`;
  }
}

function stays(partitions: PlanResult['notDrained'][number]['partitions']): string {
  const named = partitions.slice(0, ROWS_MAX).map(({ id, refusal }) => `${id} (${refusal})`);
  if (partitions.length > ROWS_MAX) named.push('…');
  return `${partitions.length === 1 ? '1 partition stays' : `${partitions.length} partitions stay`}: ${named.join(', ')}`;
}

/** Where the hours of the moves make a difference. */
const overTime = ({ costAfter, costOverTime }: PlanResult): string =>
  costOverTime === costAfter ? '' : `, ${costOverTime.toFixed(4)} with the hours of the moves`;

const OTHERS_SHOWN = 3;

/** What a move is worth with those that would have to be left out with it. */
function withOthers({ partitions, gain, cost }: PlanResult['moves'][number]['unit']): string {
  const others = partitions.slice(1);
  if (others.length === 0) return '';
  const named = others.slice(0, OTHERS_SHOWN).join(', ') + (others.length > OTHERS_SHOWN ? ', …' : '');
  return ` (with ${named}: gain ${gain.toPrecision(3)}, cost ${cost.toPrecision(3)})`;
}

const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;
