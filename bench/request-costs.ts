import { createHash } from 'node:crypto';
import { RequestCosts, TIMED_ONE_IN } from '../plugin/engines/lmdb/request-costs.ts';
import { systemClock } from '../src/base/clock.ts';
import { seededRandom } from '../src/base/random.ts';
import type { BenchResult } from './types.ts';

const PARTITION_COUNT = 256;

/** What a storage node's own account of its requests adds to each, beside reading the clock twice for every one of them. */
export function requestCostsRow(isSmall: boolean): BenchResult {
  const requestCount = isSmall ? 20_000 : 500_000;
  const clock = systemClock();
  const costs = new RequestCosts(PARTITION_COUNT, { clock, random: seededRandom(1n) });
  let heard = 0;
  const account = (i: number): void => costs.end(i & 255, costs.begin(i & 255, (i & 1) === 0), 100);
  const readTwice = (): void => {
    heard += clock.monotonicMs() - clock.monotonicMs();
  };
  const perRequest = (work: (i: number) => void): number => {
    const startedNs = process.hrtime.bigint();
    for (let i = 0; i < requestCount; i++) work(i);
    return Number(process.hrtime.bigint() - startedNs) / requestCount;
  };
  const rounds = [0, 1, 2, 3, 4].map(() => ({ own: perRequest(account), every: perRequest(readTwice) }));
  if (!(heard <= 0)) throw new Error('the clock went back');
  // The least of five: what else the machine does only adds.
  const own = Math.min(...rounds.map((round) => round.own));
  const every = Math.min(...rounds.map((round) => round.every));
  return {
    name: 'capture/request-costs-at-the-storage-node',
    metric: 'ns added to a request, least of five rounds',
    value: own,
    unit: 'ns',
    baseline: 'clock-read-around-every-request',
    baselineValue: every,
    ratio: own / every,
    settings: { timedOneIn: TIMED_ONE_IN, requestCount, barNs: 1_000 },
    // Which of them were timed, and for how many bytes; how long they took is not in it.
    hash: createHash('sha256').update(costs.kibibytes).digest('hex').slice(0, 8),
  };
}
