import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { Ledger, type ReadBackClient } from '../../examples/flights/ledger.ts';
import { LatencyHistogram, LoadGenerator } from '../../examples/flights/load-generator.ts';
import type { FlightLog } from '../../examples/flights/read-log.ts';
import {
  departuresKey,
  hourlyQueries,
  nodeCapacity,
  type RedisCommands,
  type SeedEntry,
} from '../../examples/flights/workload.ts';

const SEEDED: readonly SeedEntry[] = [
  { kind: 'string', key: 'airport:{ORD}', value: 'windy' },
  { kind: 'hash', key: 'route:{ORD}:DFW', fields: { miles: '802', carrier: 'AA' } },
  { kind: 'string', key: departuresKey('ORD', 'DFW'), value: '0' },
];

type Stored = Map<string, string | Record<string, string>>;

const intact = (counter: string): Stored =>
  new Map<string, string | Record<string, string>>([
    ['airport:{ORD}', 'windy'],
    ['route:{ORD}:DFW', { miles: '802', carrier: 'AA' }],
    [departuresKey('ORD', 'DFW'), counter],
  ]);

function clientOver(stored: Stored): ReadBackClient {
  return {
    async get(key) {
      const value = stored.get(key);
      return typeof value === 'string' ? value : null;
    },
    async hGetAll(key) {
      const value = stored.get(key);
      return typeof value === 'object' ? value : {};
    },
    async *scanAll() {
      yield* stored.keys();
    },
  };
}

function ledgerWith({ acknowledged, doubted }: { acknowledged: number; doubted: number }): Ledger {
  const ledger = new Ledger(SEEDED);
  for (let i = 0; i < acknowledged; i++) ledger.acknowledge('ORD', 'DFW');
  for (let i = 0; i < doubted; i++) ledger.doubt('ORD', 'DFW');
  return ledger;
}

const ledger = suite('ledger of the flights replay');

ledger('what was acknowledged and is there counts as neither lost nor wrong', async () => {
  const { keysChecked, keysLost, keysWrong } = await ledgerWith({ acknowledged: 7, doubted: 0 }).verify(
    clientOver(intact('7')),
  );
  check.equal([keysChecked, keysLost, keysWrong], [3, 0, 0]);
});

ledger('one lost increment, and one applied twice, are wrong', async () => {
  for (const counter of ['6', '8'])
    check.is(
      (await ledgerWith({ acknowledged: 7, doubted: 0 }).verify(clientOver(intact(counter)))).keysWrong,
      1,
    );
});

ledger('an increment of unknown outcome may stand or not, but no more than that', async () => {
  for (const [counter, keysWrong] of [
    ['6', 1],
    ['7', 0],
    ['8', 0],
    ['9', 1],
  ] as const)
    check.is(
      (await ledgerWith({ acknowledged: 7, doubted: 1 }).verify(clientOver(intact(counter)))).keysWrong,
      keysWrong,
      counter,
    );
});

ledger('a missing key is lost, a changed field is wrong, a key that nobody wrote is wrong', async () => {
  const withoutKey = intact('0');
  withoutKey.delete('airport:{ORD}');
  check.is((await ledgerWith({ acknowledged: 0, doubted: 0 }).verify(clientOver(withoutKey))).keysLost, 1);

  const withField = intact('0').set('route:{ORD}:DFW', { miles: '802', carrier: 'UA' });
  check.is((await ledgerWith({ acknowledged: 0, doubted: 0 }).verify(clientOver(withField))).keysWrong, 1);

  const withStranger = intact('0').set('stranger', 'x');
  check.is((await ledgerWith({ acknowledged: 0, doubted: 0 }).verify(clientOver(withStranger))).keysWrong, 1);
});

ledger.run();

const workload = suite('workload of the flights replay');

const LOG: FlightLog = {
  startMs: 0,
  endMs: 2 * 3_600_000,
  minuteOf: Int32Array.of(0, 59, 60, 61, 119),
  originOf: Uint16Array.of(0, 1, 0, 0, 1),
  destinationOf: Uint16Array.of(1, 0, 1, 1, 0),
  airports: ['DFW', 'ORD'],
};

workload('every departure is four queries in the hour and partition of its origin', () => {
  const queries = hourlyQueries(LOG, 16);
  const sums = [0, 1].map((hour) =>
    queries.subarray(hour * 16, hour * 16 + 16).reduce((sum, count) => sum + count),
  );
  check.equal(sums, [8, 12]);
  check.is(queries.filter((count) => count > 0).length, 4, 'two airports in two partitions in each hour');
});

workload('a perfectly balanced cluster peaks at the utilisation the capacity is made for', () => {
  const capacity = nodeCapacity(hourlyQueries(LOG, 16), {
    partitionCount: 16,
    nodeCount: 3,
    peakUtilisation: 0.7,
  });
  check.ok(Math.abs(12 / 3 / capacity - 0.7) < 1e-12);
});

workload('the generator plays each hour once, counts what it sent and what failed', async () => {
  const increments: string[] = [];
  const book = new Ledger([]);
  const generator = new LoadGenerator({
    log: LOG,
    clients: [
      {
        get: async () => '',
        hmGet: async () => [],
        incr: async (key) => {
          increments.push(key);
          if (increments.length === 2) throw new Error('refused');
          return 1;
        },
      },
    ],
    ledger: book,
    partitionOf: Uint16Array.of(3, 5),
    partitionCount: 16,
    isMigrating: () => false,
  });
  await generator.playHour(0, 10);
  check.equal(increments, ['departures:{DFW}:ORD', 'departures:{ORD}:DFW']);
  await generator.playHour(1, 10);
  check.is(increments.length, 5);
  check.is(generator.clientErrors, 1);
  check.equal(
    [generator.sent[3], generator.sent[5], generator.sent[16 + 3], generator.sent[16 + 5]],
    [4, 4, 8, 4],
  );
  check.is(generator.outside.count, 20);
  check.is(generator.during.count, 0);
});

/** A client whose replies take `delayMs`; a busy machine may make that more, never less. */
const slowClient = (delayMs: number): RedisCommands => {
  const after = <T>(reply: T): Promise<T> => new Promise((resolve) => setTimeout(resolve, delayMs, reply));
  return { get: () => after(''), hmGet: () => after([]), incr: () => after(1) };
};

function generatorFor(options: {
  log: FlightLog;
  client: RedisCommands;
  isMigrating?: boolean;
}): LoadGenerator {
  return new LoadGenerator({
    log: options.log,
    clients: [options.client],
    ledger: new Ledger([]),
    partitionOf: Uint16Array.of(3, 5),
    partitionCount: 16,
    isMigrating: () => options.isMigrating ?? false,
  });
}

// A timer may fire up to 1 ms before its time.
const TIMER_EARLY_MS = 1;

workload(
  'a latency is at least what the database takes, and counts for the time it was sent in',
  async () => {
    for (const isMigrating of [false, true]) {
      const generator = generatorFor({ log: LOG, client: slowClient(30), isMigrating });
      const { p99Ms } = await generator.playHour(0, 10);
      const [filled, empty] = isMigrating
        ? [generator.during, generator.outside]
        : [generator.outside, generator.during];
      check.is(filled.count, 8);
      check.is(empty.count, 0);
      check.ok(filled.quantile(0) >= 30 - TIMER_EARLY_MS, `least ${filled.quantile(0)} ms`);
      check.ok(filled.quantile(0.5) >= 30 - TIMER_EARLY_MS, `p50 ${filled.quantile(0.5)} ms`);
      check.ok(p99Ms >= filled.quantile(0.5) && p99Ms < 5_000, `p99 of the hour ${p99Ms} ms`);
    }
  },
);

workload('a latency counts from when the departure was due, not from when it could be sent', async () => {
  // Two departures of an hour of 40 ms, due at 0 and 20 ms. Sending the first holds the whole process up for 120 ms, so
  // the second goes out 100 ms late, and its replies come at once: all of its latency is that it waited.
  const log: FlightLog = {
    startMs: 0,
    endMs: 3_600_000,
    minuteOf: Int32Array.of(0, 30),
    originOf: Uint16Array.of(0, 1),
    destinationOf: Uint16Array.of(1, 0),
    airports: ['DFW', 'ORD'],
  };
  let sentCount = 0;
  const client: RedisCommands = {
    get: async () => {
      if (sentCount++ === 0) for (const endMs = performance.now() + 120; performance.now() < endMs; );
      return '';
    },
    hmGet: async () => [],
    incr: async () => 1,
  };
  const generator = generatorFor({ log, client });
  await generator.playHour(0, 40);
  check.is(generator.outside.count, 8);
  check.ok(generator.outside.quantile(0) >= 99, `least ${generator.outside.quantile(0)} ms`);
});

workload('quantiles of the histogram are those of the sorted list, to a step', () => {
  const histogram = new LatencyHistogram();
  for (let i = 1; i <= 1000; i++) histogram.record(i / 10);
  check.ok(Math.abs(histogram.quantile(0.5) - 50) <= 0.02);
  check.ok(Math.abs(histogram.quantile(0.99) - 99) <= 0.02);
});

workload.run();
