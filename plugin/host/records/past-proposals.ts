import type { MetadataCondition, MetadataStore, MetadataWrite } from '../../../src/ports/metadata-store.ts';
import { orNothing } from '../../metadata/json-values.ts';
import { decodeRecord, encodeRecord } from './json-record.ts';
import type { ProposalRecord } from './proposal-record.ts';

/** What was proposed some time ago: `proposal/past/<when>` in the metadata store. */
export interface PastProposal {
  readonly v: 1;
  /** When it was made for the first time, and when the last cycle that proposed just the same would have ended. */
  readonly fromMs: number;
  readonly untilMs: number;
  readonly costBefore: number;
  readonly costAfter: number;
  readonly lowerBound: number;
  readonly refusal: string | null;
  /** All of them; `moves` has the first MOVES_KEPT. */
  readonly moveCount: number;
  readonly moves: readonly PastMove[];
}

export interface PastMove {
  readonly partitionId: number;
  readonly sourceNodeId: number;
  readonly targetNodeId: number;
  readonly epoch: number;
}

/** Two days and a half of hourly cycles in which everything changes; weeks, since most cycles say what the one before said. */
export const PAST_KEPT = 60;
/** More than a plan has by default; keeps a record of a hundred bytes a move far below what a metadata store takes. */
const MOVES_KEPT = 256;

/**
 * Keeps the latest proposal among the past ones: as one with that before it where both say the same, else beside it. The
 * oldest go, so that there are never more than PAST_KEPT.
 *
 * @param options.fence of the term in which it was made: a deposed coordinator writes nothing.
 */
export async function keepProposal(
  metadata: Pick<MetadataStore, 'list' | 'commit'>,
  proposal: ProposalRecord,
  options: { readonly prefix: string; readonly fence: MetadataCondition },
): Promise<void> {
  const { prefix, fence } = options;
  const { entries } = await metadata.list(prefix);
  const newest = entries.at(-1);
  const before = newest && readPast(newest.key, newest.value)[0];
  const now = pastOf(proposal);
  const isSame = before !== undefined && newest !== undefined && saysTheSame(before, now);
  const key = isSame ? newest.key : `${prefix}${String(now.fromMs).padStart(15, '0')}`;
  const past = isSame ? { ...now, fromMs: before.fromMs } : now;
  const tooMany = Math.max(0, entries.length + (isSame ? 0 : 1) - PAST_KEPT);
  await metadata.commit({
    conditions: [fence],
    writes: [
      { kind: 'put', key, value: encodeRecord(past) },
      ...entries.slice(0, tooMany).map((entry): MetadataWrite => ({ kind: 'delete', key: entry.key })),
    ],
  });
}

/** The latest first. Records that are not valid are left out. */
export async function readPastProposals(
  metadata: Pick<MetadataStore, 'list'>,
  prefix: string,
): Promise<PastProposal[]> {
  const { entries } = await metadata.list(prefix);
  return entries.flatMap(({ key, value }) => readPast(key, value)).reverse();
}

const readPast = (key: string, value: Uint8Array): PastProposal[] =>
  orNothing(() => decodeRecord<PastProposal>(key, value, ({ v, moves }) => v === 1 && Array.isArray(moves)));

const pastOf = ({ atMs, expiresAtMs, moves, ...rest }: ProposalRecord): PastProposal => ({
  v: 1,
  fromMs: atMs,
  untilMs: expiresAtMs,
  costBefore: rest.costBefore,
  costAfter: rest.costAfter,
  lowerBound: rest.lowerBound,
  refusal: rest.refusal,
  moveCount: moves.length,
  moves: moves.slice(0, MOVES_KEPT).map(({ partitionId, sourceNodeId, targetNodeId, epoch }) => ({
    partitionId,
    sourceNodeId,
    targetNodeId,
    epoch,
  })),
});

/**
 * The same moves for the same reason; what they cost and gain changes with every forecast. At another epoch the partition has been
 * away meanwhile: it is another move, with a fate of its own.
 */
function saysTheSame(a: PastProposal, b: PastProposal): boolean {
  const movesOf = ({ moves }: PastProposal): string =>
    moves
      .map((move) => [move.partitionId, move.sourceNodeId, move.targetNodeId, move.epoch].join(' '))
      .sort()
      .join();
  return a.refusal === b.refusal && a.moveCount === b.moveCount && movesOf(a) === movesOf(b);
}
