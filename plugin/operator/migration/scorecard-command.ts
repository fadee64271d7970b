/** `foreshard scorecard`: what moves were to bring and to cost beside what they brought and cost. */
import { paceAt } from '../../../src/affinity/calibration.ts';
import {
  latencyRatioOf,
  realisedShareOf,
  type Scorecard,
} from '../../../src/migration/progress/scorecard.ts';
import type { MigrationHistory } from '../../../src/migration/records/records.ts';
import { migrationName } from '../../../src/model/migration.ts';
import type { MetadataStore } from '../../../src/ports/metadata-store.ts';
import { clusterKeys } from '../../metadata/cluster-keys.ts';
import { orNothing } from '../../metadata/json-values.ts';
import { decodeHistory } from '../../metadata/record-codec.ts';
import { asTime, counted, percent } from '../units-text.ts';

export interface MoveCard extends Scorecard {
  readonly partitionId: number;
  readonly migrationId: number;
  readonly sourceNodeId: number;
  readonly targetNodeId: number;
  readonly endedAtMs: number;
  readonly copiedBytes: number;
  readonly copySeconds: number | null;
  readonly fenceSeconds: number | null;
  /** Clients' p99 while it moved over the one without. */
  readonly latencyRatio: number | null;
  /** Share of the partition's load that left the source for the target. */
  readonly realisedShare: number | null;
}

export interface ScorecardReport {
  /** The latest first. */
  readonly cards: readonly MoveCard[];
  /** What the planner takes from all of them: medians, with what it assumed beforehand as five moves. */
  readonly learnt: {
    readonly bytesPerSecond: number;
    readonly fenceSeconds: number;
    readonly latencyRatio: number;
    readonly realisedShare: number;
    readonly moveCount: number;
  };
}

export async function gatherScorecards(
  metadata: MetadataStore,
  options: {
    readonly clusterName: string;
    readonly partitionId: number | null;
    /** What a copy may use: none is taken to be faster. */
    readonly copyBytesPerSecond: number;
  },
): Promise<ScorecardReport> {
  const { entries } = await metadata.list(clusterKeys(options.clusterName).historyPrefix);
  const cards = entries
    .flatMap(({ value }) => orNothing(() => decodeHistory(value)))
    .flatMap(cardOf)
    .filter(({ partitionId }) => options.partitionId === null || partitionId === options.partitionId)
    .sort((a, b) => b.endedAtMs - a.endedAtMs);
  const {
    sampleCount,
    fenceSecondsHigh: _,
    ...learnt
  } = paceAt(cards.toReversed(), options.copyBytesPerSecond);
  return { cards, learnt: { ...learnt, moveCount: sampleCount } };
}

function cardOf({ scorecard, ...ended }: MigrationHistory): MoveCard[] {
  if (scorecard === undefined) return [];
  return [
    {
      partitionId: ended.partitionId,
      migrationId: ended.migrationId,
      sourceNodeId: ended.sourceNodeId,
      targetNodeId: ended.targetNodeId,
      endedAtMs: ended.endedAtMs,
      copiedBytes: ended.copiedBytes,
      copySeconds: ended.copySeconds,
      fenceSeconds: ended.fenceSeconds,
      ...scorecard,
      latencyRatio: latencyRatioOf(scorecard.measured),
      realisedShare: realisedShareOf(scorecard),
    },
  ];
}

export function scorecardLines({ cards, learnt }: ScorecardReport, cardsMax: number): string[] {
  const relief = cards.length === 0 ? ' (moves of relief are not planned, and have no scorecard)' : '';
  const lines = [`${counted(cards.length, 'planned move')} carried out${relief}`];
  lines.push(...cards.slice(0, cardsMax).flatMap(cardLines));
  if (cards.length > 0)
    lines.push(
      `the next plan takes copies at ${megabytes(learnt.bytesPerSecond)}/s, fences of ${Math.round(learnt.fenceSeconds * 1000)} ms, ` +
        `a p99 of ${learnt.latencyRatio.toFixed(2)} times the usual while they run, and ${percent(learnt.realisedShare)} of a promised relief`,
    );
  return lines;
}

function cardLines(card: MoveCard): string[] {
  const { predicted, measured } = card;
  const rows: [what: string, predicted: string, measured: string][] = [
    ['bytes', megabytes(predicted.sizeBytes), megabytes(card.copiedBytes)],
    ['copy', seconds(predicted.seconds), seconds(card.copySeconds)],
    [
      'writes waited',
      '',
      card.fenceSeconds === null ? 'not seen' : `${Math.round(card.fenceSeconds * 1000)} ms`,
    ],
    [
      'load that moves',
      perSecond(predicted.queriesPerSecond),
      card.realisedShare === null ? 'not seen' : `${percent(card.realisedShare)} of it`,
    ],
    ['source', '', change(measured.sourceBefore, measured.sourceAfter)],
    ['target', '', change(measured.targetBefore, measured.targetAfter)],
    [
      'p99 of clients',
      milliseconds(measured.calmLatencyMs),
      card.latencyRatio === null
        ? 'not seen'
        : `${milliseconds(measured.latencyMs)} (${card.latencyRatio.toFixed(2)} times)`,
    ],
  ];
  const title = `${asTime(card.endedAtMs)} migration ${migrationName(card)}: partition ${card.partitionId}, node ${card.sourceNodeId} -> ${card.targetNodeId}, gain ${figure(predicted.gain)} for ${figure(predicted.price)}`;
  return [title, ...rows.map(([what, before, after]) => `  ${what.padEnd(16)}${before.padEnd(16)}${after}`)];
}

const figure = (value: number): string => Number(value.toPrecision(3)).toString();
const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`;
const seconds = (value: number | null): string => (value === null ? '' : `${value.toFixed(1)} s`);
const milliseconds = (value: number | null): string => (value === null ? '' : `${value.toFixed(1)} ms`);
const perSecond = (value: number | null): string => (value === null ? '' : `${value.toFixed(0)} queries/s`);
const change = (before: number | null, after: number | null): string =>
  before === null || after === null ? 'not seen' : `${before.toFixed(0)} -> ${after.toFixed(0)} queries/s`;
