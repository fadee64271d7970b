import { ForeshardError } from '../../base/errors.ts';
import type { TypedBlock } from '../../kernels/arena.ts';
import type { ForecastSettings } from '../settings.ts';
import type { Member, MemberComponents, MemberState, PartitionRange } from './member.ts';
import { CHUNK_PARTITIONS, rangesOf, TILE_PARTITIONS } from './ranges.ts';
import { MEMBER_FACTORIES } from './registry.ts';

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
/** At its end what all partitions share is fitted at this share of its age: it was learnt in the middle, and serves the end. */
const SHARED_AGE_AT_END = 1 / 4;

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
 * costs much. A partition's turn comes at the same phase of that period whenever it was fitted last: were it due by age, all
 * that was fitted when a history was taken in at once would be due in one window, week after week (0.8 s for 1,000).
 */
export class Roster {
  readonly names: readonly string[];
  /** All partitions, by as many as are predicted at a time. */
  readonly ranges: readonly PartitionRange[];
  readonly #entries: readonly Entry[];
  readonly #components: MemberComponents;
  readonly #scratch: TypedBlock<Float64Array>;

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
   * @param isNewest no further window is known.
   * @param windowsTaken how many windows are taken in with this one: fits that are spread over windows else are done at once
   *   after many.
   */
  async catchUp(options: { readonly isNewest: boolean; readonly windowsTaken: number }): Promise<void> {
    const { history } = this.#components;
    const end = history.dropped + history.length;
    for (const entry of this.#entries) {
      const { member, groups } = entry;
      if (history.length < member.windowsMin) continue;
      await member.advance?.();
      if (entry.fittedAt === undefined) {
        await fitAll(member, groups);
        entry.fittedAt = new Float64Array(groups.length).fill(end);
      } else if (member.refitWindows > 0) await refit(entry, entry.fittedAt, { ...options, end });
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
    return { fitted };
  }

  /** @throws ForeshardError FORESHARD_CORRUPT on a state of other members or another number of partitions. */
  load(state: MemberState): void {
    const { fitted } = state as { fitted: MemberState };
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

/** Fits the groups whose turn has come since they were fitted last. */
async function refit(
  { member, groups }: Entry,
  fittedAt: Float64Array,
  {
    isNewest,
    windowsTaken,
    end,
  }: { readonly isNewest: boolean; readonly windowsTaken: number; readonly end: number },
): Promise<void> {
  const { refitWindows } = member;
  const isEndOfMany = isNewest && windowsTaken >= refitWindows * SHARED_AGE_AT_END;
  if (member.isShared && isEndOfMany) {
    if (end - (fittedAt[0] as number) < refitWindows * SHARED_AGE_AT_END) return;
    await fitAll(member, groups);
    fittedAt.fill(end);
    return;
  }
  const period = refitWindows * (isNewest ? 1 : PASSING_AGE);
  const turn = (group: number, window: number): number =>
    Math.floor((window + Math.floor((group * period) / groups.length)) / period);
  const due = groups.map((_, group) => {
    const at = fittedAt[group] as number;
    // On the way, what was fitted lately, out of turn, can wait for the next one.
    return turn(group, end) > turn(group, at) && (isNewest || end - at >= period / 2);
  });
  if (!due.includes(true)) return;
  if (isNewest && member.beginFit !== undefined) member.beginFit();
  else
    await fitAll(
      member,
      groups.filter((_, group) => due[group]),
    );
  for (const [group, isDue] of due.entries()) if (isDue) fittedAt[group] = end;
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
