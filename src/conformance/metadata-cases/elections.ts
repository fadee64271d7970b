import type { Leadership, MetadataStore } from '../../ports/metadata-store.ts';
import { claim, claimEqual, claimRefused, within } from '../claims.ts';
import { LOOK_AGAIN_MS, type MetadataCase, type MetadataParts, put, remove, write } from './metadata-case.ts';

const NEVER = new AbortController().signal;

/** Stands for election. @throws ConformanceFailure if it is never won. */
const elected = (parts: MetadataParts, store: MetadataStore, candidate: string, office: Office) =>
  within(parts, campaign(store, candidate, office), `${candidate} is elected`);

interface Office {
  readonly election: string;
  readonly ttlMs: number;
}

const campaign = (
  store: MetadataStore,
  candidate: string,
  { election, ttlMs, signal = NEVER }: Office & { readonly signal?: AbortSignal },
): Promise<Leadership> => store.campaign({ election, candidate, ttlMs, signal });

/** An office whose holder is not given up while a case looks at something else. */
const longOffice = ({ prefix, ttlMs }: MetadataParts): Office => ({
  election: `${prefix}leader`,
  ttlMs: 2 * Math.max(ttlMs, LOOK_AGAIN_MS),
});

/** Who acts; that only one does is the fence's matter. */
export const ELECTION_CASES: readonly MetadataCase[] = [
  {
    name: 'one of two candidates leads, and the other follows it when it resigns',
    async check(parts) {
      const { one, two, clock } = parts;
      const office = longOffice(parts);
      const first = await elected(parts, one, 'one', office);
      let isElected = false;
      const following = campaign(two, 'two', office).then((leadership) => {
        isElected = true;
        return leadership;
      });
      await clock.sleep(LOOK_AGAIN_MS);
      claim(!isElected, 'nobody else is elected while the first leads');
      claim(first.isHeld(), 'the first leads');
      await first.resign();
      claim(!first.isHeld(), 'who has resigned leads no more');
      const second = await within(parts, following, 'the second follows');
      claim(second.isHeld(), 'the second leads');
      await second.resign();
    },
  },
  {
    name: 'the commits of a leader that was deposed fail on its fence',
    async check(parts) {
      const { one, two, prefix, ttlMs } = parts;
      const office = { election: `${prefix}leader`, ttlMs };
      const first = await elected(parts, one, 'one', office);
      const writes = [put(`${prefix}x`, '1')];
      const inOffice = await one.commit({ conditions: [first.fence], writes });
      claim(inOffice.isCommitted, 'a leader in office commits');
      // What a candidate does that saw no heartbeat for the time to live.
      await write(two, remove(office.election));
      const second = await elected(parts, two, 'two', office);
      claimEqual(
        await one.commit({ conditions: [first.fence], writes }),
        { isCommitted: false, failed: first.fence },
        'a commit of the one that was deposed',
      );
      await within(parts, first.lost, 'the one that was deposed is told');
      claim(!first.isHeld(), 'who was deposed leads no more');
      const next = await two.commit({ conditions: [second.fence], writes });
      claim(next.isCommitted, 'the one who follows commits');
      await second.resign();
    },
  },
  {
    name: 'leadership of a client that dies passes on after the time to live',
    async check(parts) {
      const { one, two, prefix, ttlMs } = parts;
      const office = { election: `${prefix}leader`, ttlMs };
      const first = await elected(parts, one, 'one', office);
      await one.close(); // no resignation: the heartbeats just end
      const second = await elected(parts, two, 'two', office);
      claim(second.isHeld(), 'the second leads');
      claim(!first.isHeld(), 'the one that has died leads no more');
      await second.resign();
    },
  },
  {
    name: 'a campaign that is called off ends',
    async check(parts) {
      const { one, two } = parts;
      const office = longOffice(parts);
      const first = await elected(parts, one, 'one', office);
      const calledOff = new AbortController();
      const pending = campaign(two, 'two', { ...office, signal: calledOff.signal });
      calledOff.abort();
      const ended = within(parts, pending, 'a campaign that is called off ends');
      await claimRefused(ended, ['FORESHARD_UNAVAILABLE'], 'a campaign that is called off');
      claim(first.isHeld(), 'the first leads');
      await first.resign();
    },
  },
];
