/**
 * Deterministic schedules: the real executor and the real agents, with stores, network, metadata store and time simulated.
 * `SEED=n` runs that one schedule; `SCHEDULES=n` runs more of them, from a fresh seed with `SEED_BASE=n`.
 */
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { BUGS, type Bug } from './bugs.ts';
import { runSchedule } from './world.ts';

const test = suite('migration simulator');
const SCHEDULES = Number(process.env.SCHEDULES ?? 150);
const SEED_BASE = BigInt(process.env.SEED_BASE ?? 1);

test('no schedule loses an acknowledged write, makes two owners, reads backwards or gets stuck', async () => {
  const seeds =
    process.env.SEED === undefined
      ? Array.from({ length: SCHEDULES }, (_, i) => SEED_BASE + BigInt(i))
      : [BigInt(process.env.SEED)];
  const total = { switches: 0, aborts: 0, writes: 0, copyReads: 0 };
  for (const seed of seeds) {
    const result = await runSchedule(seed);
    check.equal(result.violations, [], `replay with SEED=${seed}`);
    total.switches += result.switchCount;
    total.aborts += result.abortCount;
    total.writes += result.writeCount;
    total.copyReads += result.copyReadCount;
  }
  if (seeds.length === 1) return;
  // A simulation in which little happens finds nothing.
  check.ok(total.switches > seeds.length, `${total.switches} switches`);
  check.ok(total.aborts > seeds.length / 10, `${total.aborts} aborts`);
  check.ok(total.copyReads > seeds.length / 4, `${total.copyReads} reads of copies`);
});

test('a schedule is the same whenever it is run', async () => {
  check.equal(await runSchedule(7n), await runSchedule(7n));
});

/** Another await in the protocol shifts every schedule: from its seed on so many are tried. */
const SEARCH_MAX = 300;

/** A seed near which the bug shows; the simulator must say what is wrong there, and nothing without the bug. */
const FOUND_AT: Record<Exclude<Bug, 'none'>, { readonly seed: bigint; readonly says: RegExp }> = {
  'fence-lifted-by-timer': { seed: 29n, says: /two owners/ },
  'commit-timeout-taken-as-failure': { seed: 49n, says: /two owners/ },
  'fence-not-durable': { seed: 33n, says: /two owners/ },
  'deletes-not-shipped': { seed: 8n, says: /acknowledged|verification before removal failed/ },
  'deletes-not-shipped-unverified': { seed: 2n, says: /acknowledged/ },
  'owner-check-at-receipt': { seed: 16n, says: /acknowledged/ },
  'copy-ignores-min-lsn': { seed: 74n, says: /from the copy/ },
  'coordinator-without-conditions': { seed: 9n, says: /went back|outside the switch/ },
};

for (const bug of BUGS) {
  if (bug === 'none') continue;
  test(`finds the planted bug: ${bug}`, async () => {
    const { seed, says } = FOUND_AT[bug];
    let found = seed;
    let { violations } = await runSchedule(found, bug);
    while (!says.test(violations.join('\n')) && found < seed + BigInt(SEARCH_MAX))
      ({ violations } = await runSchedule(++found, bug));
    check.match(violations.join('\n'), says, `from seed ${seed} on`);
    check.equal((await runSchedule(found)).violations, []);
  });
}

test.run();
