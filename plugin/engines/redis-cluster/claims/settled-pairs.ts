import type { NodeView } from '../server/cluster-nodes.ts';
import { type Ends, epochsIn, slotsOf, type Views, viewsOf, whyEpochUnheard } from './claim-views.ts';
import { type SettleComponents, type Settled, settleClaims } from './settle-claims.ts';

/** The next move of a plan between the same two comes in seconds; what is not asked for in so long is settled anew. */
const REMEMBERED_MS = 30_000;

interface SettledPair extends Settled {
  readonly atMs: number;
}

/** Settles the claims of a source once for moves that follow each other: each would hold its first slot back for a tenth of a second. */
export class SettledPairs {
  readonly #pairs = new Map<string, SettledPair>();

  /** As `settleClaims`. @throws SlotMoveStopped as it does. */
  async settle(ends: Ends, components: SettleComponents): Promise<Settled> {
    const { run, clock } = components;
    const name = `${ends.sourceId} ${ends.targetId}`;
    const known = this.#pairs.get(name);
    if (known !== undefined && clock.monotonicMs() - known.atMs < REMEMBERED_MS) {
      const views = await run(viewsOf(ends));
      if (isStillSettled(ends, views, known)) {
        this.#pairs.set(name, { ...known, atMs: clock.monotonicMs() });
        return { ...known, epochs: epochsIn(ends, views) };
      }
    }
    this.#pairs.delete(name);
    const settled = await settleClaims(ends, components);
    if (settled.unprotected === null) this.#pairs.set(name, { ...settled, atMs: clock.monotonicMs() });
    return settled;
  }
}

/**
 * Doubts are of slots that the source has got since: new ones are not among those it had, and for one that it gave away and took back, it
 * had to take an epoch above that of whoever had it meanwhile.
 */
function isStillSettled(ends: Ends, views: Views, { epochs, sourceSlots }: Settled): boolean {
  if (whyEpochUnheard(ends, views) !== null || epochsIn(ends, views).source !== epochs.source) return false;
  return [views.source, views.target].every((nodes) => isWithin(slotsOf(nodes, ends.sourceId), sourceSlots));
}

const isWithin = (inner: NodeView['slots'], outer: NodeView['slots']): boolean =>
  inner.every(([first, last]) => outer.some(([from, to]) => from <= first && last <= to));
