import { MOVE_REFUSALS, type MoveRefusal } from '../../src/affinity/refusals.ts';
import { LEFT_OUT_MEANING, type LeftOutCode } from '../../src/affinity/timetable/problem.ts';
import type { Refusal } from '../../src/model/proposal.ts';
import type { MetadataStore } from '../../src/ports/metadata-store.ts';
import type { Settings } from '../../src/settings.ts';
import { decodeProposal, type ProposalRecord } from '../host/proposal-record.ts';
import { proposalKey } from '../host/record-keys.ts';
import { readDecisions } from '../metadata/decisions.ts';
import { noProposal } from './approval/approve.ts';
import { decisionLines } from './approval/decision-lines.ts';
import { asRanges, withMetadata } from './cluster-commands.ts';
import { growthLines } from './growth-lines.ts';
import { printJson, printLine } from './output.ts';
import { silenceLines } from './silent-nodes.ts';
import { asTime, capacityText, counted, percent } from './units-text.ts';

/** `foreshard proposal`. */
export function describeProposal(
  settings: Settings,
  { isJson }: { readonly isJson: boolean },
): Promise<void> {
  return withMetadata(settings, async (metadata) => {
    const proposal = await readProposal(metadata, settings.cluster.name);
    const decisions = await readDecisions(metadata, settings.cluster.name, Date.now());
    if (isJson) return printJson({ ...proposal, decisions });
    printLine(headline(proposal));
    for (const line of [...silenceLines(proposal), ...situationLines(proposal, settings)]) printLine(line);
    for (const line of decisionLines(decisions)) printLine(line);
    proposal.moves.forEach((_, index) => {
      for (const line of moveLines(proposal, index)) printLine(line);
    });
    for (const { partitionId, sourceNodeId, targetNodeId, code } of proposal.leftOut)
      printLine(
        `left out: partition ${partitionId}: node ${sourceNodeId} -> ${targetNodeId}: ${LEFT_OUT_MEANING[code as LeftOutCode] ?? code}`,
      );
    for (const line of await growthLines(metadata, settings.cluster.name, proposal.growth)) printLine(line);
    if (proposal.ignoredForecasts.length > 0)
      printLine(
        `planned with last week's load, because their forecasts were worse than that: partitions ${asRanges(proposal.ignoredForecasts)}`,
      );
  });
}

/** @throws ForeshardError FORESHARD_NOT_READY before the first one. */
export async function readProposal(metadata: MetadataStore, clusterName: string): Promise<ProposalRecord> {
  const entry = await metadata.get(proposalKey(clusterName));
  if (entry === undefined) throw noProposal();
  return decodeProposal(entry.value);
}

function headline({ atMs, moves, refusal, ...costs }: ProposalRecord): string {
  const { costBefore, costAfter, costOverTime, lowerBound, expiresAtMs } = costs;
  const holds = `holds until ${asTime(expiresAtMs)}`;
  if (moves.length === 0) {
    const why = refusal === null ? '' : `: ${REFUSAL_MEANING[refusal as Refusal] ?? refusal}`;
    return `${asTime(atMs)}: no moves${why}; ${holds}`;
  }
  return (
    `${asTime(atMs)}: ${counted(moves.length, 'move')}, cost ${costBefore.toFixed(4)} -> ${costAfter.toFixed(4)} points ` +
    `(${costOverTime.toFixed(4)} with the hours of the moves), no map below ${lowerBound.toFixed(4)}; ${holds}`
  );
}

const REFUSAL_MEANING: Readonly<Record<Refusal, string>> = {
  'near-bound': 'the map as it is costs hardly more than the best there could be',
  'below-minimum-gain': 'no move would gain as much as it has to for its price',
  'migrations-open': 'the partitions are still being moved',
  residence: 'every partition rests: it was moved lately, or its node does not answer',
  'breach-stays':
    'partitions are where the rules do not want them, and no node may take them as things stand',
  'wide-bounds': 'every partition that may move has a forecast too uncertain to move it by',
  'no-time': 'moves would be worth while, but none finds its hour',
};

/** What keeps a partition where it is, by its code in the proposal. */
const bindingMeaning = (code: string): string =>
  code === 'price'
    ? 'the gain is not enough for the price of the move'
    : (MOVE_REFUSALS[code as MoveRefusal] ?? code);

/** What comes if nothing is done, how much each number of moves helps, and what stands in the way. */
function situationLines({ evidence }: ProposalRecord, settings: Settings): string[] {
  if (evidence === null) return ['nothing could be forecast: relief alone'];
  const { firstBreach: breach, frontier, binding, fence, experience } = evidence;
  const lines = [
    breach === null
      ? 'if nothing is done, every node stays inside its comfort zone'
      : `if nothing is done, node ${breach.nodeId} leaves its comfort zone at ${asTime(breach.atMs)}: ` +
        `${percent(breach.utilisation)} of its ${capacityText(breach.dimension, settings.cluster.nodeCapacity[breach.dimension])}`,
  ];
  if (frontier.length > 1)
    lines.push(
      `cost by number of moves, the most useful first: ${shownOf(frontier)
        .map(({ moveCount, cost }) => `${moveCount}: ${cost.toFixed(4)}`)
        .join(', ')} points`,
    );
  if (frontier.length > 1)
    lines.push(
      `while a partition is handed over writes to it wait ${milliseconds(fence.seconds)}, nine times in ten less than ` +
        `${milliseconds(fence.secondsHigh)} (${fence.sampleCount} migrations seen)`,
    );
  if (experience !== undefined && frontier.length > 1)
    lines.push(
      `by what earlier moves have brought: ${percent(experience.realisedShare)} of a promised relief, so a gain has to be ` +
        `${experience.benefitCostRatio.toFixed(1)} times its price; clients' p99 during a copy ${experience.latencyRatio.toFixed(1)} times the usual`,
    );
  if (binding.length > 0)
    lines.push(
      `what keeps partitions from a better place: ${binding
        .map(
          ({ code, partitionCount }) => `${bindingMeaning(code)} (${counted(partitionCount, 'partition')})`,
        )
        .join('; ')}`,
    );
  return lines;
}

/** What is said of one move; also of a partition that is asked about. */
export function moveLines({ moves, evidence, wayBackMs }: ProposalRecord, index: number): string[] {
  const move = moves[index] as ProposalRecord['moves'][number];
  const { partitionId, sourceNodeId, targetNodeId, schedule } = move;
  const when =
    schedule === null
      ? ''
      : ` from ${asTime(schedule.startMs)}, ${Math.max(1, Math.round(schedule.seconds))} s at up to ${megabytes(schedule.bytesPerSecond)} MB/s`;
  const lines = [`partition ${partitionId}: node ${sourceNodeId} -> ${targetNodeId}${when}: ${move.reason}`];
  const own = evidence?.moves[index];
  if (own === undefined) return lines;
  const skill = own.skill === null ? 'unknown' : own.skill.toFixed(2);
  const after = own.after.length === 0 ? '' : `; after partitions ${own.after.join(', ')}`;
  lines.push(
    `  gains ${move.gain.toFixed(4)} in the plan, ${own.gainAlone.toFixed(4)} alone, ${own.gainLower.toFixed(4)} if load is at its ` +
      `lower bound, for ${move.cost.toFixed(4)} (all in points); ${megabytes(move.sizeBytes)} MB; skill of its forecast ${skill}; ` +
      `way back for ${wayBackMs < 120_000 ? `${Math.round(wayBackMs / 1000)} s` : `${Math.round(wayBackMs / 60_000)} min`}${after}`,
  );
  if (move.unit !== undefined) {
    const { partitionIds, gain, cost } = move.unit;
    lines.push(
      `  stands or falls with partitions ${asRanges(partitionIds.slice(1).sort((a, b) => a - b))}: together they gain ${gain.toFixed(4)} for ${cost.toFixed(4)} points`,
    );
  }
  return lines;
}

/** A handful of points, the first and the last among them. */
function shownOf<Point>(points: readonly Point[]): Point[] {
  const step = Math.max(1, Math.ceil((points.length - 1) / 8));
  return points.filter((_, i) => i % step === 0 || i === points.length - 1);
}

const milliseconds = (seconds: number): string => `${Math.round(1000 * seconds)} ms`;
const megabytes = (bytes: number): string => (bytes / 1e6).toFixed(1);
