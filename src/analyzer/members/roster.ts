import { ForeshardError } from '../../base/errors.ts';
import type { TypedBlock } from '../../kernels/arena.ts';
import type { ForecastSettings } from '../settings.ts';
import type { Member, MemberComponents, MemberState, PartitionRange } from './member.ts';
import { MEMBER_FACTORIES } from './registry.ts';

/**
 * Partitions predicted or fitted at a time: what the members' scratch memory grows with, and what a window costs in which
 * a forecast is kept. A multiple of every tile.
 */
export const CHUNK_PARTITIONS = 128;

/** Kernels that work on several series at once take them by eights. */
const TILE_PARTITIONS = 8;

/** What the members say of some partitions. */
export interface MemberForecasts {
  readonly range: PartitionRange;
  /** f64[member][partition of the range][step], log loads; without meaning for members that are not available. */
  readonly logLoads: Float64Array;
  /** Per member: whether it had history enough, and is fitted. */
  readonly isAvailable: readonly boolean[];
}

/**
 * While a long history is taken in, parameters are so many times as old before they are fitted again: they only serve
 * forecasts that are judged. From 1 to 4 log errors tie; taking in M4's training part costs 7.2 ms a series instead of 8.9.
 */
const PASSING_AGE = 4;

interface Entry {
  readonly member: Member;
  /** What is fitted together, in turn. */
  readonly groups: readonly PartitionRange[];
  /** The window count at which each group was last fitted; undefined before the first time. */
  fittedAt: Float64Array | undefined;
}

/**
 * The members of a forecaster: who can say something, whose parameters are due, and what they all say.
 *
 * Each partition's parameters are fitted again every `refitWindows`, some partitions at every window, so that no window
 * costs much.
 */
export class Roster {
  readonly names: readonly string[];
  /** All partitions, by as many as are predicted at a time. */
  readonly ranges: readonly PartitionRange[];
  readonly #entries: readonly Entry[];
  readonly #components: MemberComponents;
  readonly #scratch: TypedBlock<Float64Array>;
  #caughtUpAt = 0;

  /** @throws ForeshardError FORESHARD_CONFIG on a name that no member has. */
  constructor(settings: ForecastSettings, components: MemberComponents) {
    const { partitionCount } = components.history.shape;
    this.names = settings.members;
    this.#components = components;
    this.ranges = rangesOf(partitionCount, Math.ceil(partitionCount / CHUNK_PARTITIONS));
    this.#entries = settings.members.map((name) => {
      const member = newMember(name, settings, components);
      return { member, groups: groupsOf(member, partitionCount), fittedAt: undefined };
    });
    this.#scratch = components.runner.kernels.arena.f64(
      this.names.length * Math.min(partitionCount, CHUNK_PARTITIONS) * components.horizon,
    );
  }

  /**
   * Brings every member up to the newest window: sums, and the parameters that are due.
   *
   * @param isNewest no further window is known. After many windows at once shared models are then fitted sooner: what was
   *   learnt in the middle of a long history should not serve its end.
   */
  async catchUp({ isNewest }: { readonly isNewest: boolean }): Promise<void> {
    const { history } = this.#components;
    const end = history.dropped + history.length;
    const isEndOfMany = isNewest && end - this.#caughtUpAt > 1;
    this.#caughtUpAt = end;
    for (const entry of this.#entries) {
      const { member, groups } = entry;
      if (history.length < member.windowsMin) continue;
      await member.advance?.();
      if (entry.fittedAt === undefined) {
        await fitAll(member, groups);
        // As if they had been fitted in turn: from here on they are due one after the other.
        entry.fittedAt = Float64Array.from(
          groups,
          (_, group) => end - Math.floor((group * member.refitWindows) / groups.length),
        );
      } else if (member.refitWindows > 0) {
        const { fittedAt } = entry;
        const age =
          member.refitWindows * (isEndOfMany && member.isShared ? 1 / 4 : isNewest ? 1 : PASSING_AGE);
        const due = groups.map((_, group) => end - (fittedAt[group] as number) >= age);
        await fitAll(
          member,
          groups.filter((_, group) => due[group]),
        );
        for (const [group, isDue] of due.entries()) if (isDue) fittedAt[group] = end;
      }
    }
  }

  /** Lets every member speak of one of the ranges. What it says stands in scratch memory until it is asked again. */
  async predict(range: PartitionRange): Promise<MemberForecasts> {
    const size = range.count * this.#components.horizon;
    const isAvailable = this.#entries.map((entry) => this.#canSpeak(entry));
    await Promise.all(
      this.#entries.map(({ member }, index) =>
        isAvailable[index] ? member.predict(range, this.#scratch.pointer + index * size * 8) : undefined,
      ),
    );
    return { range, logLoads: this.#scratch.view.subarray(0, this.names.length * size), isAvailable };
  }

  save(): MemberState {
    const fitted = Object.fromEntries(
      this.#entries
        .filter(({ fittedAt }) => fittedAt !== undefined)
        .map(({ member, fittedAt }) => [
          member.name,
          { fittedAt: (fittedAt as Float64Array).slice(), state: member.save() },
        ]),
    );
    return { caughtUpAt: this.#caughtUpAt, fitted };
  }

  /** @throws ForeshardError FORESHARD_CORRUPT on a state of other members or another number of partitions. */
  load(state: MemberState): void {
    const { caughtUpAt, fitted } = state as { caughtUpAt: number; fitted: MemberState };
    this.#caughtUpAt = caughtUpAt;
    for (const entry of this.#entries) {
      const saved = fitted[entry.member.name] as { fittedAt: Float64Array; state: MemberState } | undefined;
      // A member that has been added since, or had too little history then, is fitted when its time comes.
      if (saved === undefined) continue;
      if (saved.fittedAt?.length !== entry.groups.length)
        throw new ForeshardError(
          'FORESHARD_CORRUPT',
          'restart',
          `member ${entry.member.name}: ${saved.fittedAt?.length} groups were saved, there are ${entry.groups.length}`,
        );
      entry.member.load(saved.state);
      entry.fittedAt = Float64Array.from(saved.fittedAt);
    }
  }

  close(): void {
    for (const { member } of this.#entries) member.close();
    this.#components.runner.kernels.arena.free(this.#scratch);
  }

  #canSpeak({ member, fittedAt }: Entry): boolean {
    return fittedAt !== undefined && this.#components.history.length >= member.windowsMin;
  }
}

function newMember(name: string, settings: ForecastSettings, components: MemberComponents): Member {
  const factory = MEMBER_FACTORIES[name];
  if (factory === undefined)
    throw new ForeshardError(
      'FORESHARD_CONFIG',
      'fix-config',
      `forecast.members: no member is called ${name}; there are ${Object.keys(MEMBER_FACTORIES).join(', ')}`,
    );
  return factory({ ...components, random: components.random.fork(name) }, settings);
}

function groupsOf(member: Member, partitionCount: number): PartitionRange[] {
  if (member.isShared || member.refitWindows === 0) return [{ first: 0, count: partitionCount }];
  return rangesOf(partitionCount, Math.min(member.refitWindows, Math.ceil(partitionCount / TILE_PARTITIONS)));
}

/** All partitions in so many ranges of nearly the same size, cut at multiples of a tile. */
function rangesOf(partitionCount: number, rangeCount: number): PartitionRange[] {
  const tiles = Math.ceil(partitionCount / TILE_PARTITIONS);
  const cut = (index: number): number =>
    Math.min(partitionCount, Math.floor((index * tiles) / rangeCount) * TILE_PARTITIONS);
  return Array.from({ length: rangeCount }, (_, index) => ({
    first: cut(index),
    count: cut(index + 1) - cut(index),
  }));
}

/** Neighbouring ranges are fitted in one go, at most CHUNK_PARTITIONS at a time where the member does not share a model. */
async function fitAll(member: Member, ranges: readonly PartitionRange[]): Promise<void> {
  let open: PartitionRange | undefined;
  for (const range of ranges) {
    const isNext = open !== undefined && open.first + open.count === range.first;
    if (open !== undefined && isNext && open.count + range.count <= CHUNK_PARTITIONS)
      open = { first: open.first, count: open.count + range.count };
    else {
      if (open !== undefined) await member.fit(open);
      open = range;
    }
  }
  if (open !== undefined) await member.fit(open);
}
