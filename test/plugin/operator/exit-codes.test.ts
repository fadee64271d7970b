/**
 * One rule for what an order names: what the cluster does not have is a mistake of the command line (2), what it has and what
 * cannot be done as things stand is not (1). Every command that takes a partition, a node or a store stands in a table here.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { clusterKeys } from '../../../plugin/metadata/cluster-keys.ts';
import { openEmbeddedMetadata } from '../../../plugin/metadata/embedded.ts';
import { bootstrapCluster } from '../../../plugin/metadata/form-cluster.ts';
import { putMember } from '../../../plugin/metadata/members.ts';
import { loadCommands } from '../../../plugin/operator/command-modules.ts';
import { buildProgram } from '../../../plugin/operator/program.ts';
import { runHere } from '../../support/run-here.ts';
import { withTemporaryFolder } from '../../support/temporary-folder.ts';

const test = suite('exit codes of orders');

const BECAUSE = ['--reason', 'a test'];
const STORE = 'store-0';

/** What there is not: partition 300, node 77, the store `nowhere`. By command and by the argument that names it. */
const STRANGERS: Readonly<Record<string, readonly string[]>> = {
  'apply partitions': ['apply', '300', '--yes', ...BECAUSE],
  'approve partitions': ['approve', '3', '300', ...BECAUSE],
  'cancel partition': ['cancel', '300', ...BECAUSE],
  'drain node': ['drain', '77', ...BECAUSE],
  'explain partition': ['explain', '300'],
  'migrations --partition': ['migrations', '--partition', '300'],
  'pause --partition': ['pause', '--partition', '300', ...BECAUSE],
  'quarantine --clear': ['quarantine', '--clear', '300', ...BECAUSE],
  'query-types --node': ['query-types', '--node', '77', '--at', 'mon 09:00'],
  'reject partitions': ['reject', '290-300', ...BECAUSE],
  'remove node': ['remove', '77', '--yes', ...BECAUSE],
  'resume --partition': ['resume', '--partition', '300', ...BECAUSE],
  'resync --without': ['resync', '--without', '77', '--confirm', ...BECAUSE],
  'retire --store': ['retire', '--store', 'nowhere', '--it-is-gone-for-good', ...BECAUSE],
  'rollback partition': ['rollback', '300', '--yes', ...BECAUSE],
  'scorecard --partition': ['scorecard', '--partition', '300'],
  'takeover --from': ['takeover', '3', '--from', 'nowhere', '--to', '1', ...BECAUSE],
  'takeover --to': ['takeover', '3', '--from', STORE, '--to', '77', ...BECAUSE],
  'takeover partition': ['takeover', '300', '--from', STORE, '--to', '1', ...BECAUSE],
  'undrain node': ['undrain', '77', ...BECAUSE],
  'verify partitions': ['verify', '3', '300'],
};
/** `join` names a node that there is not yet. */
const NEWCOMERS = ['join node'];

/** What there is, and what cannot be done to it now. */
const NOT_NOW: readonly (readonly string[])[] = [
  ['approve', '3', ...BECAUSE],
  ['apply', '3', '--yes', ...BECAUSE],
  ['reject', '3', ...BECAUSE],
  ['explain', '3'],
  ['proposal'],
  ['cancel', '3', ...BECAUSE],
  ['rollback', '3', '--yes', ...BECAUSE],
  ['takeover', '3', '--from', STORE, '--to', '1', ...BECAUSE],
  ['retire', '--store', STORE, ...BECAUSE],
  ['join', '1', ...BECAUSE],
  ['remove', '1', '--yes', ...BECAUSE],
  ['query-types'],
  ['query-types', '--json'],
  ['hot-keys'],
  ['hot-keys', '--json'],
];

const leavesOf = (command: Command): Command[] =>
  command.commands.flatMap((child) => (child.commands.length > 0 ? leavesOf(child) : [child]));

async function withCluster(
  use: (run: typeof runHere, audited: () => Promise<number>) => Promise<void>,
  settings: object = {},
): Promise<void> {
  await withTemporaryFolder(async (folder) => {
    const config = join(folder, 'foreshard.config.json');
    const path = join(folder, 'm');
    writeFileSync(
      config,
      JSON.stringify({
        cluster: { partitionCount: 256, storageNodeCount: 2 },
        metadata: { path },
        ...settings,
      }),
    );
    const metadata = openEmbeddedMetadata({ path });
    try {
      const nodes = [0, 1].map((nodeId) => ({ nodeId, storeId: `store-${nodeId}` }));
      await bootstrapCluster(metadata, 'main', { partitionCount: 256, nodes });
      for (const node of nodes)
        await putMember(metadata, 'main', {
          ...node,
          ...{ role: 'storage', host: '127.0.0.1', port: 1, incarnation: 'i', version: '1', startedAtMs: 1 },
        });
      await use(
        (...args) => runHere(...args, '--config', config),
        async () => (await metadata.list(clusterKeys('main').auditPrefix)).entries.length,
      );
    } finally {
      await metadata.close();
    }
  });
}

test('every command that names a partition, a node or a store is in the table', async () => {
  const named = leavesOf(buildProgram(await loadCommands(), () => {})).flatMap((command) => [
    ...command.registeredArguments
      .map((argument) => argument.name())
      .filter((name) => /^(partitions?|node)$/.test(name))
      .map((name) => `${command.name()} ${name}`),
    ...command.options
      .filter(({ long, flags }) => long === '--partition' || /<(partition|node|store)>/.test(flags))
      .map(({ long }) => `${command.name()} ${long}`),
    ...(command.name() === 'query-types' ? ['query-types --node'] : []),
  ]);
  check.equal(named.sort(), [...Object.keys(STRANGERS), ...NEWCOMERS].sort());
});

test('what the cluster does not have is refused with exit code 2, by the same words, and nothing is done', () =>
  withCluster(async (run, audited) => {
    for (const [what, args] of Object.entries(STRANGERS)) {
      const { exitCode, stdout, stderr } = await run(...args);
      check.equal([exitCode, stdout], [2, ''], `${what}: ${stderr}`);
      check.match(
        stderr,
        /^foreshard: there is no (partition (300|290): partitions are numbered 0\.\.255|storage node 77 in the cluster: it has 0, 1|store nowhere: .*); nothing was done\n$/,
        what,
      );
    }
    check.is(await audited(), 0);
  }));

test('what cannot be done as things stand ends with exit code 1, and says why', () =>
  withCluster(async (run, audited) => {
    for (const args of NOT_NOW) {
      const { exitCode, stdout, stderr } = await run(...args);
      check.equal([exitCode, stdout], [1, ''], `${args.join(' ')}: ${stderr}`);
      check.match(stderr, /^foreshard: ./, args.join(' '));
    }
    check.is(await audited(), 0);
  }));

test('a reason of 500 characters is kept as it is, a longer one is refused, and so is a rejection for ever', () =>
  withCluster(async (run, audited) => {
    const reason = 'because '.repeat(100).slice(0, 499);
    check.is((await run('pause', '--reason', `${reason}!`)).exitCode, 0);
    const { audit } = JSON.parse((await run('audit', '--json')).stdout);
    check.is(audit[0].reason, `${reason}!`);
    for (const args of [
      ['pause'],
      ['drain', '1'],
      ['approve', '--all'],
      ['resync', '--confirm'],
      ['join', '7'],
    ]) {
      const refused = await run(...args, '--reason', `${reason}!!`);
      check.is(refused.exitCode, 2, args.join(' '));
      check.match(refused.stderr, /--reason: found 501 characters, 500 are kept in the audit/);
    }
    const forEver = await run('reject', '3', '--for', '366d', ...BECAUSE);
    check.is(forEver.exitCode, 2);
    check.match(forEver.stderr, /--for: found "366d", at most 365d: .* affinity\.rules\.pinned/);
    check.is(await audited(), 1);
  }));

test('beside a Redis Cluster orders of the embedded engine are refused with what does it there', () =>
  withCluster(
    async (run, audited) => {
      const orders: readonly (readonly [readonly string[], RegExp])[] = [
        [['drain', '1', ...BECAUSE], /redis-cli --cluster rebalance .*--cluster-weight/],
        [['undrain', '1', ...BECAUSE], /redis-cli --cluster rebalance/],
        [['remove', '1', '--yes', ...BECAUSE], /redis-cli --cluster del-node/],
        [['join', '7', ...BECAUSE], /redis-cli --cluster add-node/],
        [
          ['rollback', '3', '--yes', ...BECAUSE],
          /the way back is another move \(`affinity\.rules\.pinned` keeps/,
        ],
        [['takeover', '3', '--from', STORE, '--to', '1', ...BECAUSE], /CLUSTER FAILOVER/],
        [['retire', '--store', STORE, ...BECAUSE], /CLUSTER FORGET/],
        [['resync'], /the agent writes the map anew/],
        [['verify', '--all'], /read back by Redis alone/],
      ];
      for (const [args, remedy] of orders) {
        const { exitCode, stderr } = await run(...args);
        check.is(exitCode, 2, args.join(' '));
        check.match(stderr, `${args[0]} is of the embedded engine. Beside a Redis Cluster: `);
        check.match(stderr, remedy);
      }
      check.is(await audited(), 0);
    },
    { redis: { nodes: ['127.0.0.1:1'] } },
  ));

test('--json and --commands are refused where they would be passed over', () =>
  withCluster(async (run) => {
    const agent = await run('agent', '--json');
    check.is(agent.exitCode, 2);
    check.match(agent.stderr, /it goes with --dry-run/);
    const proposal = await run('proposal', '--commands');
    check.is(proposal.exitCode, 2);
    check.match(proposal.stderr, /--commands is of a Redis Cluster/);
  }));

test.run();
