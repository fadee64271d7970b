/** What a dry run tells, and what it sends: against servers that serve others meanwhile. */
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { DryRunNodes } from '../../../../../plugin/engines/redis-cluster/dry-run/dry-run-nodes.ts';
import type { RedisCommand } from '../../../../../plugin/engines/redis-cluster/server/redis-node.ts';
import { waitForReplicas } from '../../../../../plugin/engines/redis-cluster/slots/replica-wait.ts';
import { Pace } from '../../../../../plugin/engines/redis-cluster/steps/pace.ts';
import { runSteps } from '../../../../../plugin/engines/redis-cluster/steps/step-runner.ts';
import { VirtualClock } from '../../../../../src/base/clock.ts';
import { REDIS_DEFAULTS } from '../../../../../src/redis-settings.ts';

const test = suite('redis-cluster: a dry run');

test('replicas that are behind, since applications write meanwhile, are waited for once, in words', async () => {
  const sent: RedisCommand[] = [];
  const told: RedisCommand[] = [];
  let offset = 1_000;
  const server = {
    pipeline: async (commands: readonly RedisCommand[]) => {
      sent.push(...commands);
      offset += 50;
      const replicas = [
        `ip=a,port=1,state=online,offset=${offset - 30},lag=0`,
        'ip=b,port=2,state=online,offset=7,lag=1',
      ];
      const lines = [`master_repl_offset:${offset}`, ...replicas.map((replica, n) => `slave${n}:${replica}`)];
      return commands.map(() => Buffer.from(`# Replication\r\nrole:master\r\n${lines.join('\r\n')}\r\n`));
    },
    close: () => undefined,
  };
  const nodes = new DryRunNodes({ node: () => server, dedicated: () => server as never }, (_, command) =>
    told.push(command),
  );
  const { slotMove } = REDIS_DEFAULTS;
  await runSteps(waitForReplicas('t', { ...slotMove, replicasMin: 2 }), {
    nodes,
    clock: new VirtualClock(),
    pace: new Pace(slotMove),
    assertMaySend: () => undefined,
  });
  check.equal(told, [['WAIT', 3, 2]]);
  check.ok(sent.length > 0 && sent.every(([name]) => name === 'INFO'));
});

test.run();
