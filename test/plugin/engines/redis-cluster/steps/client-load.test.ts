/** Whether applications ask anything, as INFO tells, and what pace follows. */
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { ClientLoad, clientCommands } from '../../../../../plugin/engines/redis-cluster/steps/client-load.ts';
import { Pace } from '../../../../../plugin/engines/redis-cluster/steps/pace.ts';
import type { Steps } from '../../../../../plugin/engines/redis-cluster/steps/steps.ts';
import { VirtualClock } from '../../../../../src/base/clock.ts';
import { REDIS_DEFAULTS } from '../../../../../src/redis-settings.ts';

const test = suite('redis-cluster: what applications ask meanwhile');

const STATS = [
  '# Commandstats',
  'cmdstat_get:calls=70,usec=100,usec_per_call=1.2,rejected_calls=0,failed_calls=0',
  'cmdstat_incr:calls=30,usec=50,usec_per_call=1.2,rejected_calls=0,failed_calls=0',
  'cmdstat_migrate:calls=1000,usec=9000,usec_per_call=9,rejected_calls=0,failed_calls=0',
  'cmdstat_cluster|setslot:calls=500,usec=100,usec_per_call=1,rejected_calls=0,failed_calls=0',
  'cmdstat_ping:calls=900,usec=100,usec_per_call=1,rejected_calls=0,failed_calls=0',
].join('\r\n');

test('what moves themselves send is no load of applications', () => {
  check.is(clientCommands(STATS), 100);
  check.is(clientCommands(''), 0);
});

test('commands a second, of both servers, without the reads of samples', () => {
  const clock = new VirtualClock(1_000);
  const load = new ClientLoad(['a', 'b'], clock);
  const look = (count: number, ownReads: number): number | null =>
    answered(load.look(ownReads), `cmdstat_get:calls=${count},usec=1\r\n`);
  check.is(look(10, 0), null, 'nothing to compare with');
  clock.advanceTo(1_500);
  check.is(look(35, 10), 80, '50 on two servers in half a second, 10 of them ours');
});

test('a moment in which by chance nobody asked anything says nothing, nor do counters that were set back', () => {
  const clock = new VirtualClock(1_000);
  const load = new ClientLoad(['a'], clock);
  const look = (count: number, ownReads: number): number | null =>
    answered(load.look(ownReads), `cmdstat_get:calls=${count},usec=1\r\n`);
  look(10, 0);
  clock.advanceTo(1_002);
  check.is(look(10, 0), null);
  clock.advanceTo(1_020);
  check.is(look(24, 4), null);
  clock.advanceTo(1_200);
  check.is(look(36, 2), 100, '26 since the first look, 6 of them ours');
  clock.advanceTo(2_200);
  check.is(look(5, 0), null);
  clock.advanceTo(3_200);
  check.is(look(55, 0), 50);
});

test('where nobody asks, nobody is waited for', () => {
  const { slotMove } = REDIS_DEFAULTS;
  const pace = new Pace(slotMove);
  const careful = { windowSlots: pace.windowSlots, pieceMigrates: pace.pieceMigrates };
  check.ok(careful.windowSlots < slotMove.windowSlotsMax, 'careful until it is known');
  check.is(careful.pieceMigrates, 1);
  pace.onClients(0);
  pace.onLatency(1_000);
  check.is(pace.windowSlots, slotMove.windowSlotsMax);
  check.is(pace.pauseMs, 0);
  check.is(pace.restMs(100), 0);
  pace.onClients(500);
  check.ok(pace.restMs(100) > 0, 'between windows clients are served');
  check.equal({ windowSlots: pace.windowSlots, pieceMigrates: pace.pieceMigrates }, careful);
  pace.onLatency(1);
  for (let i = 0; i < 20; i++) pace.onLatency(1_000);
  check.is(pace.pauseMs, slotMove.pauseMsMax);
});

/** Each node answers the same. */
function answered(steps: Steps<number | null>, text: string): number | null {
  const first = steps.next();
  if (first.done === true) return first.value;
  const second = steps.next(first.value.to.map(() => [Buffer.from(text)]));
  check.ok(second.done);
  return second.value as number | null;
}

test.run();
