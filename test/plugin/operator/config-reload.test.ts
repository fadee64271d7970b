/** `config reload`: what is asked of a process, and what its answers come out as. */
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import type { ReloadReport } from '../../../plugin/host/config/live-config.ts';
import { listenForHealth } from '../../../plugin/node/health.ts';
import { runHere } from '../../support/run-here.ts';
import { withTemporaryFolder } from '../../support/temporary-folder.ts';

const test = suite('config reload');

/** A process that answers so, and what the command makes of it. */
async function reload(report: ReloadReport, ...flags: string[]) {
  return withTemporaryFolder(async (folder) => {
    const listen = `unix:${join(folder, 'h.sock')}`;
    const config = join(folder, 'foreshard.config.yaml');
    writeFileSync(config, `node: { healthListen: '${listen}' }\n`);
    const health = await listenForHealth(
      listen,
      {
        identity: { role: 'query', nodeId: 10_000, version: '0' },
        uptimeSeconds: () => 7,
        reasons: () => [],
        metrics: { text: async () => '' },
        reload: async () => {
          // Longer than a probe may take: a reload has time of its own.
          await new Promise((resolve) => setTimeout(resolve, 60));
          return report;
        },
      },
      { requestMsMax: 30, connectionsMax: 4 },
    );
    try {
      return await runHere('config', 'reload', '--config', config, ...flags);
    } finally {
      await health.close();
    }
  });
}

const REPORT: ReloadReport = {
  outcome: 'applied',
  changed: ['migration.graceMs', 'plugin.mode'],
  needRestart: [],
  why: null,
};

test('what has been taken over is named', async () => {
  const { exitCode, stdout, stderr } = await reload(REPORT);
  check.is(stdout, 'query node 10000: in force now: migration.graceMs, plugin.mode\n', stderr);
  check.is(exitCode, 0);
  const json = JSON.parse((await reload(REPORT, '--json')).stdout);
  check.equal(json.changed, REPORT.changed);
  check.is(json.nodeId, 10_000);
  check.match((await reload({ ...REPORT, outcome: 'unchanged', changed: [] })).stdout, /nothing has changed/);
});

test('what needs a restart, or could not be applied, is told, and ends with 1', async () => {
  const refused: ReloadReport = {
    outcome: 'refused',
    changed: ['cluster.partitionCount', 'plugin.mode'],
    needRestart: ['cluster.partitionCount'],
    why: 'cluster.partitionCount needs a restart: restart this process, or take the change back',
  };
  const { exitCode, stdout } = await reload(refused, '--json');
  check.is(exitCode, 1);
  check.equal(JSON.parse(stdout).needRestart, ['cluster.partitionCount']);
  const failed = await reload({ ...refused, outcome: 'failed', needRestart: [], why: 'the thread died' });
  check.is(failed.exitCode, 1);
  check.is(failed.stdout, 'query node 10000: nothing was taken over: the thread died\n');
});

test('a config that is wrong is told before anybody is asked; so is a process that cannot be asked', async () => {
  await withTemporaryFolder(async (folder) => {
    const config = join(folder, 'foreshard.config.yaml');
    const run = async (text: string, ...flags: string[]) => {
      writeFileSync(config, text);
      return runHere('config', 'reload', '--config', config, ...flags);
    };
    const wrong = await run('node: { healthListen: unix:/nowhere, logLevel: loud }\n');
    check.is(wrong.exitCode, 2);
    check.match(wrong.stderr, /node\.logLevel: found "loud"/);
    const unset = await run('plugin: { mode: observe }\n');
    check.is(unset.exitCode, 2);
    check.match(unset.stderr, /node\.healthListen is not set.*SIGHUP/);
    const address = await run('node: { healthListen: 127.0.0.1:7401 }\n');
    check.is(address.exitCode, 2);
    check.match(address.stderr, /nobody authenticates/);
    for (const socket of ['foo', 'unix:']) {
      // Without a path it would be port 80 of this machine that is asked.
      const nowhere = await run('{}\n', '--socket', socket);
      check.is(nowhere.exitCode, 2);
      check.match(nowhere.stderr, /--socket: found ".*", it must be a socket file/);
    }
    const gone = await run('{}\n', '--socket', `unix:${join(folder, 'gone.sock')}`);
    check.is(gone.exitCode, 1);
    check.match(gone.stderr, /nobody answers at .*gone\.sock \(--socket\): .*ENOENT/);
  });
});

test('what answers there and is none of ours is told', async () => {
  await withTemporaryFolder(async (folder) => {
    const path = join(folder, 'other.sock');
    for (const body of ['hello', '{"outcome":"applied"}']) {
      const other = createServer((_, response) => response.end(body));
      await new Promise<void>((resolve) => other.listen(path, () => resolve()));
      const { exitCode, stderr } = await runHere('config', 'reload', '--socket', `unix:${path}`);
      check.is(exitCode, 1);
      check.match(stderr, /is no process of this version/, stderr);
      await new Promise((resolve) => other.close(resolve));
    }
  });
});

test('nobody reloads over an address, whatever the request says of itself', async () => {
  let isReloaded = false;
  const health = await listenForHealth('127.0.0.1:0', {
    identity: { role: 'query' },
    uptimeSeconds: () => 7,
    reasons: () => [],
    metrics: { text: async () => '' },
    reload: async () => {
      isReloaded = true;
      return {};
    },
  });
  try {
    const response = await fetch(`http://127.0.0.1:${health.port}/reload`, { method: 'POST' });
    check.is(response.status, 403);
    check.match(await response.text(), /unix:\/path, or send the process SIGHUP/);
    check.not.ok(isReloaded);
  } finally {
    await health.close();
  }
});

test.run();
