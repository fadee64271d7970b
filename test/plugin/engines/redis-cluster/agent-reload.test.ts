/** An agent, as a process, that reads its config again. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import {
  hasRedisServer,
  LocalRedisCluster,
} from '../../../../plugin/engines/redis-cluster/local-redis-cluster.ts';
import { clusterKeys } from '../../../../plugin/metadata/cluster-keys.ts';
import { openMetadata } from '../../../../plugin/metadata/open.ts';
import { readProposal } from '../../../../plugin/operator/proposals/latest-proposal.ts';
import type { MetadataStore } from '../../../../src/ports/metadata-store.ts';
import { publishLoad, settingsFor, until, WINDOW_MS } from '../../../support/redis-agent.ts';
import { foreshardArguments } from '../../../support/repository.ts';
import { requireOrSkip } from '../../../support/require.ts';
import { withTemporaryFolder } from '../../../support/temporary-folder.ts';

const test = suite<{ cluster: LocalRedisCluster }>('redis-cluster: an agent that reads its config again');

const LEASE_MS = 2_000;

interface Running {
  readonly process: ChildProcess;
  configure(mode: string): void;
  /** Waits for what its log says. */
  logged(text: string): Promise<void>;
  proposes(): Promise<void>;
}

/**
 * An agent that observes a cluster under load, and that has no cycle in this test but that of a reload.
 *
 * @param before has the metadata store before the agent begins.
 */
async function withAgent<Before>(
  cluster: LocalRedisCluster,
  before: (metadata: MetadataStore, clusterName: string) => Promise<Before>,
  play: (agent: Running, before: Before) => Promise<void>,
): Promise<void> {
  await withTemporaryFolder(async (folder) => {
    const settings = settingsFor(cluster, folder);
    const { name, partitionCount, nodeCapacity } = settings.cluster;
    const { queries, cpuSeconds } = nodeCapacity;
    const config = join(folder, 'foreshard.config.json');
    const configure = (mode: string): void =>
      writeFileSync(
        config,
        JSON.stringify({
          cluster: { name, partitionCount, nodeCapacity: { queries, cpuSeconds } },
          plugin: { mode },
          analyzer: { windowMs: WINDOW_MS, stateDir: settings.analyzer.stateDir },
          controller: { cycleIntervalMs: 3_600_000, leaseTtlMs: LEASE_MS },
          metadata: { kind: 'embedded', path: settings.metadata.path },
          redis: { nodes: settings.redis.nodes },
        }),
      );
    await publishLoad(settings);
    configure('observe');
    const metadata = openMetadata(settings.metadata);
    const prepared = await before(metadata, name);
    const child = spawn(process.execPath, foreshardArguments('agent', '--config', config), {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const exited = once(child, 'exit');
    let output = '';
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (bytes) => {
        output += String(bytes);
      });
    const wait = (what: string, isSo: () => Promise<boolean>): Promise<void> =>
      until(
        what,
        () => {
          check.is(child.exitCode ?? child.signalCode, null, `the agent ended:\n${output}`);
          return isSo();
        },
        () => `the agent said:\n${output}`,
      );
    const proposed = async (): Promise<number> =>
      readProposal(metadata, name).then(
        ({ moves }) => moves.length,
        () => 0,
      );
    try {
      await wait('it observes', async () => output.includes('observing: nothing is changed'));
      check.is(await proposed(), 0);
      await play(
        {
          process: child,
          configure,
          logged: (text) => wait(`its log says: ${text}`, async () => output.includes(text)),
          proposes: () => wait('it proposes moves', async () => (await proposed()) > 0),
        },
        prepared,
      );
    } finally {
      child.kill('SIGTERM');
      await exited;
      await metadata.close();
    }
    check.match(output, 'the agent ends in order');
  });
}

if (requireOrSkip('redis', hasRedisServer())) {
  test.before.each(async (context) => {
    context.cluster = await LocalRedisCluster.start();
  });
  test.after.each(async ({ cluster }) => {
    await cluster?.stop();
  });

  const alone = async (): Promise<void> => undefined;

  test('it plans at once', ({ cluster }) =>
    withAgent(cluster, alone, async ({ process, configure, proposes }) => {
      configure('propose');
      process.kill('SIGHUP');
      await proposes();
    }));

  test('while another one leads it waits, and plans as soon as it is elected', ({ cluster }) =>
    withAgent(
      cluster,
      (metadata, clusterName) =>
        metadata.campaign({
          election: clusterKeys(clusterName).coordinator,
          candidate: 'another',
          ttlMs: LEASE_MS,
          signal: new AbortController().signal,
        }),
      async ({ process, configure, logged, proposes }, other) => {
        configure('propose');
        process.kill('SIGHUP');
        await logged('config reloaded');
        // Longer than anybody waits for an election who wants an answer.
        await new Promise((resolve) => setTimeout(resolve, 2 * LEASE_MS));
        await other.resign();
        await proposes();
      },
    ));

  test('a cluster that cannot be looked at for now is looked at again in a moment', ({ cluster }) =>
    withAgent(cluster, alone, async ({ process, configure, logged, proposes }) => {
      const slots = [8_000, 8_031] as const;
      // The slots of a partition that nobody owns: nothing can be planned.
      await cluster.command(1, 'CLUSTER', 'DELSLOTSRANGE', ...slots);
      configure('propose');
      process.kill('SIGHUP');
      await logged('no plan is made for now');
      await cluster.command(1, 'CLUSTER', 'ADDSLOTSRANGE', ...slots);
      await proposes();
    }));
}

test.run();
