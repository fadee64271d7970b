import type { Clock } from '../../../../src/base/clock.ts';
import { numberOf } from '../server/redis-node.ts';
import { assertReplicas } from '../slots/replica-wait.ts';
import { standingsOf } from '../slots/slot-standing.ts';
import { type MoveLimits, type SlotMove, type SlotMoveOutcome, SlotMoveStopped } from '../steps/slot-move.ts';
import { askEach, type Steps } from '../steps/steps.ts';
import {
  type AtomicJob,
  type AtomicKind,
  atomicKindOf,
  cancelJob,
  isOurs,
  listJobs,
  startJob,
} from './atomic-jobs.ts';

/** What whoever leads wants of a job that runs. A pause lets it end: it is one step. */
export type JobOrder = 'go-on' | 'cancel' | 'leave';

export interface AtomicMoverComponents {
  readonly run: <Result>(steps: Steps<Result>) => Promise<Result>;
  readonly clock: Clock;
  readonly limits: () => Pick<MoveLimits, 'replicasMin'>;
}

export interface AtomicOutcome extends SlotMoveOutcome {
  /** Why it was given up: nothing is open then, and what has not moved is where it was. */
  readonly failure: string | null;
}

const POLL_MS = 250;
/** Jobs that a server gives up, before we do. */
const ATTEMPTS_MAX = 3;
/** Retries of a server that goes on by itself. */
const RETRIES_MAX = 3;
/** After the hand-over, until both servers say so. */
const AGREEMENT_MS_MAX = 10_000;

/**
 * Has the servers move slots by themselves, and watches. They go on when we die: whoever leads next finds the job, or what has
 * become of it.
 */
export class AtomicMover {
  readonly #components: AtomicMoverComponents;

  constructor(components: AtomicMoverComponents) {
    this.#components = components;
  }

  kindOf(ends: Pick<SlotMove, 'sourceId' | 'targetId'>): Promise<AtomicKind | null> {
    return this.#components.run(atomicKindOf(ends));
  }

  /**
   * @param mayStart whether another job may begin.
   * @throws SlotMoveStopped when somebody else's job runs, or this process is to leave: looking again is the remedy.
   */
  async move(
    move: SlotMove,
    kind: AtomicKind,
    {
      order,
      mayStart,
    }: { readonly order: () => Promise<JobOrder>; readonly mayStart: () => Promise<boolean> },
  ): Promise<AtomicOutcome> {
    const { run, limits } = this.#components;
    let failure = 'the servers end its jobs without moving anything';
    let endedBefore = await this.#ended(move, kind);
    for (let attempts = 0; ; attempts++) {
      const job = await this.#watch(move, kind, { order, endedBefore });
      if (job?.state === 'failed') failure = job.message || 'the server does not say why';
      const left = await this.#left(move);
      if (left.length === 0) return this.#outcome(move, left, null);
      const isGivenUp = attempts >= ATTEMPTS_MAX || (await order()) !== 'go-on' || !(await mayStart());
      if (isGivenUp) return this.#outcome(move, left, attempts >= ATTEMPTS_MAX ? failure : null);
      await run(assertReplicas(move.targetId, limits().replicasMin));
      endedBefore = await this.#ended(move, kind);
      await run(startJob(kind, move, left));
    }
  }

  /** Servers remember jobs for a while: what had ended before says nothing of what begins now. */
  async #ended(move: SlotMove, kind: AtomicKind): Promise<ReadonlySet<string>> {
    const jobs = await this.#components.run(listJobs(kind, move));
    return new Set(jobs.filter((job) => !isUnderWay(job, kind)).map(({ id }) => id));
  }

  /** Until no job runs at the server. @returns the one of this move, as it ended; undefined where there was none. */
  async #watch(
    move: SlotMove,
    kind: AtomicKind,
    {
      order,
      endedBefore,
    }: { readonly order: () => Promise<JobOrder>; readonly endedBefore: ReadonlySet<string> },
  ): Promise<AtomicJob | undefined> {
    const { run, clock } = this.#components;
    for (;;) {
      const jobs = await run(listJobs(kind, move));
      const ours = jobs.filter((job) => isOurs(job, move) && !endedBefore.has(job.id));
      const job = ours.find((one) => isUnderWay(one, kind));
      const foreign = jobs.find((one) => one.state === 'running' && !isOurs(one, move));
      if (foreign !== undefined)
        throw new SlotMoveStopped(
          `migration ${foreign.id} of other slots runs, which is not ours: it is waited for`,
        );
      if (job === undefined) return ours.find(({ state }) => state === 'failed') ?? ours[0];
      const wanted = await order();
      if (wanted === 'leave') throw new SlotMoveStopped('this agent ends; the servers go on');
      if (wanted === 'cancel' || job.retries > RETRIES_MAX) {
        await run(cancelJob(kind, move, job));
        if (wanted !== 'cancel') return { ...job, state: 'failed' };
      }
      await clock.sleep(POLL_MS);
    }
  }

  /** Slots that are not the target's; waits until source and target agree on the others. */
  async #left(move: SlotMove): Promise<readonly number[]> {
    const { run, clock } = this.#components;
    for (let waitedMs = 0; ; waitedMs += POLL_MS) {
      const { standingOf } = await run(standingsOf(move));
      const of = (wanted: string): number[] => move.slots.filter((slot) => standingOf.get(slot) === wanted);
      if (of('open').length > 0) throw new SlotMoveStopped('slots are open: they are moved key by key');
      if (of('taken').length + of('lost').length === 0) return of('closed');
      if (waitedMs >= AGREEMENT_MS_MAX)
        throw new SlotMoveStopped('source and target do not agree on who owns the slots');
      await clock.sleep(POLL_MS);
    }
  }

  async #outcome(move: SlotMove, left: readonly number[], failure: string | null): Promise<AtomicOutcome> {
    const committedSlots = move.slots.filter((slot) => !left.includes(slot));
    const counts = await this.#components.run(
      askEach(move.targetId, committedSlots, (slot) => ['CLUSTER', 'COUNTKEYSINSLOT', slot]),
    );
    return {
      committedSlots,
      bigKeys: [],
      fullSlots: [],
      conflictingKeys: [],
      lostSlots: [],
      movedKeyCount: counts.reduce((sum: number, count) => sum + numberOf(count), 0),
      sample: { checkedCount: 0, differing: [] },
      failure,
    };
  }
}

/** A target of Redis tries a failed import again by itself, for as long as it is not cancelled. */
const isUnderWay = ({ state }: AtomicJob, kind: AtomicKind): boolean =>
  state === 'running' || (kind === 'import' && state === 'failed');
