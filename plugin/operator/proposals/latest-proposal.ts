import { MOVE_REFUSALS, type MoveRefusal } from '../../../src/affinity/refusals.ts';
import { LEFT_OUT_MEANING, type LeftOutCode } from '../../../src/affinity/timetable/problem.ts';
import type { Refusal } from '../../../src/model/proposal.ts';
import type { MetadataStore } from '../../../src/ports/metadata-store.ts';
import type { Settings } from '../../../src/settings.ts';
import { decodeProposal, type ProposalRecord } from '../../host/records/proposal-record.ts';
import { proposalKey } from '../../host/records/record-keys.ts';
import { readDecisions } from '../../metadata/decisions.ts';
import { noProposal } from '../approval/approve.ts';
import { decisionLines } from '../approval/decision-lines.ts';
import { withMetadata } from '../cluster-metadata.ts';
import { growthLines } from '../growth-lines.ts';
import { printJson, printLine } from '../output.ts';
import { silenceLines } from '../silent-nodes.ts';
import { asMoment, asRanges, asTime, capacityText, counted, gapText, percent } from '../units-text.ts';
import { REFUSAL_MEANING } from './refusal-meaning.ts';

/** `foreshard proposal`. */
export function describeProposal(
  settings: Settings,
  { isJson }: { readonly isJson: boolean },
): Promise<void> {
  return withMetadata(settings, async (metadata) => {
    const proposal = await readProposal(metadata, settings.cluster.name, settings.plugin.mode);
    const decisions = await readDecisions(metadata, settings.cluster.name, Date.now());
    if (isJson) return printJson({ ...proposal, gap: gapOf(proposal), decisions });
    printLine(headline(proposal));
    for (const line of [
      ...reliefLines(proposal),
      ...silenceLines(proposal),
      ...timeLines(proposal),
      ...situationLines(proposal, settings),
    ])
      printLine(line);
    for (const line of decisionLines(decisions)) printLine(line);
    proposal.moves.forEach((_, index) => {
      for (const line of moveLines(proposal, index, settings)) printLine(line);
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
export async function readProposal(
  metadata: MetadataStore,
  clusterName: string,
  mode: string | null = null,
): Promise<ProposalRecord> {
  const entry = await metadata.get(proposalKey(clusterName));
  if (entry === undefined) throw noProposal(mode);
  return decodeProposal(entry.value);
}

/** How far the plan may be above the best, as a share of the bound; null where the bound says nothing. */
export const gapOf = ({ costAfter, lowerBound }: Pick<ProposalRecord, 'costAfter' | 'lowerBound'>) =>
  lowerBound > 0 ? Math.max(0, costAfter / lowerBound - 1) : null;

function headline(proposal: ProposalRecord): string {
  const { atMs, moves, refusal, costBefore, costAfter, costOverTime, lowerBound, expiresAtMs } = proposal;
  const gap = gapOf(proposal);
  const holds = `holds until ${asMoment(expiresAtMs, Date.now())}`;
  if (moves.length === 0) {
    const why = refusal === null ? '' : `: ${REFUSAL_MEANING[refusal as Refusal] ?? refusal}`;
    return `${asTime(atMs)}: no moves${why}; ${holds}`;
  }
  return (
    `${asTime(atMs)}: ${counted(moves.length, 'move')}, cost ${costBefore.toFixed(4)} -> ${costAfter.toFixed(4)} points ` +
    `(${costOverTime.toFixed(4)} with the hours of the moves), no map below ${lowerBound.toFixed(4)}` +
    `${gap === null ? '' : `, ${gapText(gap)}`}; ${holds}`
  );
}

/** Costs and bounds are of the plan alone. */
const reliefLines = ({ relief }: ProposalRecord): string[] =>
  relief === undefined
    ? []
    : [
        `relief has put moves before the plan at ${asTime(relief.atMs)}, which its costs leave out: ${relief.reason}`,
      ];

const timeLines = ({ endedAfter, iterations }: ProposalRecord): string[] =>
  endedAfter === undefined
    ? []
    : [
        `the search ran out of time (affinity.searchSeconds) after ${counted(iterations, 'step')}: a longer one may find a better map`,
      ];

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
  if (frontier.length > 1) lines.push(isBesideRedis(settings) ? HAND_OVER_OF_REDIS : fenceLine(fence));
  if (experience !== undefined && frontier.length > 1 && fence.sampleCount > 0)
    lines.push(...lessonLines(experience));
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

const isBesideRedis = ({ redis }: Settings): boolean => redis.nodes.length > 0;

/** Redis has neither a fence, for which writes would wait, nor an old owner that follows. */
const HAND_OVER_OF_REDIS =
  'while a partition is handed over its keys move a few at a time, and clients follow them by ASK: no write waits for the whole of it ' +
  '(servers that move slots by themselves hand all over at one moment)';

const fenceLine = ({
  seconds,
  secondsHigh,
  sampleCount,
}: NonNullable<ProposalRecord['evidence']>['fence']): string =>
  `while a partition is handed over writes to it wait about ${milliseconds(seconds)}, nine times in ten less than ` +
  `${milliseconds(secondsHigh)} (${sampleCount === 0 ? 'assumed: no migration has been seen' : `${counted(sampleCount, 'migration')} seen`})`;

/** What earlier moves have taught, where it is anything: until some were measured, plans are simply believed. */
function lessonLines({
  realisedShare,
  benefitCostRatio,
}: NonNullable<NonNullable<ProposalRecord['evidence']>['experience']>): string[] {
  if (realisedShare === 1) return [];
  return [
    `earlier moves have brought ${percent(realisedShare)} of the relief that was expected of them (\`foreshard scorecard\`): ` +
      `one that is proposed now promises at least ${benefitCostRatio.toFixed(1)} times its price`,
  ];
}

/** What is said of one move; also of a partition that is asked about. */
export function moveLines(
  { moves, evidence, wayBackMs }: ProposalRecord,
  index: number,
  settings: Settings,
): string[] {
  const move = moves[index] as ProposalRecord['moves'][number];
  const { partitionId, sourceNodeId, targetNodeId, schedule } = move;
  const when =
    schedule === null
      ? ' at once'
      : ` from ${asTime(schedule.startMs)}, ${Math.max(1, Math.round(schedule.seconds))} s at up to ${megabytes(schedule.bytesPerSecond)} MB/s`;
  const lines = [`partition ${partitionId}: node ${sourceNodeId} -> ${targetNodeId}${when}: ${move.reason}`];
  const own = evidence?.moves[index];
  if (own === undefined) return lines;
  const skill = own.skill === null ? 'unknown' : own.skill.toFixed(2);
  const after = own.after.length === 0 ? '' : `; after partitions ${own.after.join(', ')}`;
  lines.push(
    `  gains ${move.gain.toFixed(4)} in the plan, ${own.gainAlone.toFixed(4)} alone, ${own.gainLower.toFixed(4)} if load is at its ` +
      `lower bound, for ${move.cost.toFixed(4)} (all in points); ${megabytes(move.sizeBytes)} MB; skill of its forecast ${skill}; ` +
      `${isBesideRedis(settings) ? 'no way back but another move' : `way back for ${wayBackMs < 120_000 ? `${Math.round(wayBackMs / 1000)} s` : `${Math.round(wayBackMs / 60_000)} min`}`}${after}`,
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
