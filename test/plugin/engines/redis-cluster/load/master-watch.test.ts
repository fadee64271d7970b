/** What masters do, as two who look at them by the same watch are told. */
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { MasterWatch } from '../../../../../plugin/engines/redis-cluster/load/master-watch.ts';
import { countersOf } from '../../../../../plugin/engines/redis-cluster/server/node-info.ts';
import type { ClusterTopology } from '../../../../../plugin/engines/redis-cluster/topology/topology.ts';
import { VirtualClock } from '../../../../../src/base/clock.ts';
import { silentLogger } from '../../../../../src/base/logger.ts';

const test = suite('redis-cluster: looks at masters');
const TOPOLOGY = { masters: [{ nodeId: 'm', host: 'h', port: 1 }] } as unknown as ClusterTopology;

function start() {
  const clock = new VirtualClock(10_000);
  const server = { commands: 500, runId: 'a' };
  const counters = async () =>
    countersOf(
      new Map([
        ['run_id', server.runId],
        ['total_commands_processed', String(server.commands)],
      ]),
    );
  const watch = new MasterWatch({ counters }, { clock, logger: silentLogger });
  const look = async (afterMs: number, commands: number) => {
    clock.advanceTo(clock.nowMs() + afterMs);
    server.commands += commands;
    return (await watch.look(TOPOLOGY)).get('m');
  };
  return { look, server };
}

test('a look a moment after another tells the rates of that one, and leaves the next as it would be', async () => {
  const { look } = start();
  check.is((await look(0, 0))?.rates, null);
  check.is((await look(5_000, 1_000))?.rates?.commands, 200);
  const soon = await look(2, 50);
  check.is(soon?.rates?.commands, 200, 'not 25,000');
  check.is(soon?.counters.commands, 1_550, 'what it has is told as it is');
  check.is((await look(4_998, 950))?.rates?.commands, 200);
});

test('after a restart rates are counted anew, however soon it is', async () => {
  const { look, server } = start();
  await look(0, 0);
  await look(5_000, 1_000);
  Object.assign(server, { runId: 'b', commands: 0 });
  check.is((await look(2, 10))?.rates, null);
  check.is((await look(5_000, 500))?.rates?.commands, 100);
});

test.run();
