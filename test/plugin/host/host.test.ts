import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import type { OnQueryCompleted } from '../../../plugin/hooks.ts';
import { QueryNodeHost, StorageNodeHost } from '../../../plugin/host/host.ts';
import { type LoadedPlugin, loadPlugins } from '../../../plugin/host/load-plugins.ts';
import { definePlugin, type PluginDefinition, type QueryNodeContext } from '../../../plugin/host/plugin.ts';
import { systemClock } from '../../../src/base/clock.ts';
import { ForeshardError, InvariantError } from '../../../src/base/errors.ts';
import type { Logger } from '../../../src/base/logger.ts';
import type { MetadataStore } from '../../../src/ports/metadata-store.ts';
import type { PartitionStore } from '../../../src/ports/partition-store.ts';
import { DEFAULT_SETTINGS } from '../../../src/settings.ts';
import { moduleUrl } from '../../support/repository.ts';
import { withTemporaryFolder } from '../../support/temporary-folder.ts';

const test = suite('plugin host');

interface Line {
  readonly fields: Record<string, unknown>;
  readonly message: string;
}

function recordingLogger(): Logger & { readonly errors: Line[] } {
  const errors: Line[] = [];
  const logger = {
    errors,
    debug() {},
    info() {},
    warn() {},
    error: (fields: Record<string, unknown>, message: string) => errors.push({ fields, message }),
    child: () => logger,
  };
  return logger;
}

// The host only passes the stores on; no plugin of these tests touches them.
const NO_METADATA = {} as MetadataStore;
const NO_STORE = {} as PartitionStore;

async function queryHost(plugins: readonly LoadedPlugin[]) {
  const logger = recordingLogger();
  const host = new QueryNodeHost(logger);
  await host.attachAll(plugins, {
    settings: DEFAULT_SETTINGS,
    nodeId: 10_000,
    clock: systemClock(),
    logger,
    metadata: NO_METADATA,
  });
  return { host, logger };
}

async function storageHost(plugins: readonly PluginDefinition[]) {
  const logger = recordingLogger();
  const host = new StorageNodeHost(logger);
  await host.attachAll(plugins, {
    settings: DEFAULT_SETTINGS,
    nodeId: 0,
    clock: systemClock(),
    logger,
    metadata: NO_METADATA,
    store: NO_STORE,
    isWritable: () => true,
    pressure: () => ({ cpuShare: 0, loopLagMs: 0, commitMs: 0 }),
    loopLagMs: () => 0,
  });
  return { host, logger };
}

const complete = (hook: OnQueryCompleted | null): void =>
  hook?.(12, 1, 2, 3, Buffer.from('key'), 0, 3, 5, 6, 7, 0);

function counting(name: string, onQuery: (count: number) => void = () => undefined) {
  const seen = { queryCount: 0, detachCount: 0 };
  const plugin = definePlugin({
    name,
    attachQueryNode: () => ({
      hooks: {
        onQueryCompleted() {
          seen.queryCount++;
          onQuery(seen.queryCount);
        },
      },
      detach() {
        seen.detachCount++;
      },
    }),
  });
  return { plugin, seen };
}

test('a slot that no plugin uses is null', async () => {
  const { host } = await queryHost([counting('counts').plugin]);
  check.is(host.hooks.onRoute, null);
  check.type(host.hooks.onQueryCompleted, 'function');
  const { host: storage } = await storageHost([counting('counts').plugin]);
  check.equal(new Set(Object.values(storage.hooks)), new Set([null]));
});

test('a hook gets what the node gave it', async () => {
  const calls: unknown[][] = [];
  const { host } = await queryHost([
    definePlugin({
      name: 'keeps',
      attachQueryNode: () => ({ hooks: { onQueryCompleted: (...call) => calls.push(call) }, detach() {} }),
    }),
  ]);
  const key = Buffer.from('abc');
  host.hooks.onQueryCompleted?.(1, 2, 3, 4, key, 5, 6, 7, 8, 9, 2);
  check.equal(calls, [[1, 2, 3, 4, key, 5, 6, 7, 8, 9, 2]]);
});

test('a plugin that throws is detached with one log line, and the others go on', async () => {
  const bad = counting('bad', (count) => {
    if (count === 3) throw new Error('a bug in a plugin');
  });
  const good = counting('good');
  const { host, logger } = await queryHost([bad.plugin, good.plugin]);
  for (let i = 0; i < 10; i++) complete(host.hooks.onQueryCompleted);
  await Promise.resolve();
  check.is(bad.seen.queryCount, 3);
  check.is(bad.seen.detachCount, 1);
  check.is(good.seen.queryCount, 10);
  check.is(host.faultCount, 1);
  check.equal(host.attachedNames, ['good']);
  check.is(logger.errors.length, 1);
  check.is(logger.errors[0]?.fields.plugin, 'bad');
  check.is(logger.errors[0]?.fields.fault, 'a bug in a plugin');
  check.match(logger.errors[0]?.message ?? '', /detached after a fault.*last committed map/);
});

test('when the only plugin is detached its slot is null again', async () => {
  const bad = counting('bad', () => {
    throw new InvariantError('broken');
  });
  const { host } = await queryHost([bad.plugin]);
  complete(host.hooks.onQueryCompleted);
  check.is(host.hooks.onQueryCompleted, null);
});

test('a route hook that throws leaves the read with the owner', async () => {
  const { host } = await queryHost([
    definePlugin({
      name: 'routes',
      attachQueryNode: () => ({
        hooks: {
          onRoute() {
            throw new TypeError('no');
          },
        },
        detach() {},
      }),
    }),
  ]);
  check.is(host.hooks.onRoute?.(1, 2), false);
  check.is(host.hooks.onRoute, null);
});

test('an async hook is let be while it succeeds, and detached by its rejection', async () => {
  let isFailing = false;
  const asynchronous = (async () => {
    if (isFailing) throw new TypeError('late');
  }) as unknown as OnQueryCompleted;
  const { host, logger } = await queryHost([
    definePlugin({
      name: 'async',
      attachQueryNode: () => ({ hooks: { onQueryCompleted: asynchronous }, detach() {} }),
    }),
  ]);
  complete(host.hooks.onQueryCompleted);
  await new Promise(setImmediate);
  check.equal(host.attachedNames, ['async']);
  isFailing = true;
  complete(host.hooks.onQueryCompleted);
  await new Promise(setImmediate);
  check.equal(host.attachedNames, []);
  check.is(logger.errors[0]?.fields.fault, 'late');
});

test('a route hook that promises an answer is detached, and the read goes to the owner', async () => {
  const onRoute = (async () => true) as unknown as () => boolean;
  const { host, logger } = await queryHost([
    definePlugin({ name: 'promises', attachQueryNode: () => ({ hooks: { onRoute }, detach() {} }) }),
  ]);
  check.is(host.hooks.onRoute?.(1, 2), false);
  check.equal(host.attachedNames, []);
  check.match(String(logger.errors[0]?.fields.fault), /must answer at once/);
});

test('what a plugin hands back while it attaches is checked: the next one attaches all the same', async () => {
  const none = definePlugin({ name: 'none', attachQueryNode: (() => ({ detach() {} })) as never });
  const { host } = await queryHost([none, counting('good').plugin]);
  check.equal(host.attachedNames, ['good']);
  check.is(host.faultCount, 1);
});

/** An error as it looks when it was thrown in these places, innermost first. */
function errorFrom(error: Error, ...files: readonly string[]): Error {
  error.stack = [error.message, ...files.map((file) => `    at f (${file}:1:2)`)].join('\n');
  return error;
}
const OWN = (path: string): string => moduleUrl(path).href;

/** Our own plugin, and two of others. */
async function mixedHost() {
  const idle = (name: string) => definePlugin({ name, attachQueryNode: () => ({ hooks: {}, detach() {} }) });
  return queryHost([
    idle('own'),
    { ...idle('a'), file: '/plugins/a/main.mjs' },
    { ...idle('b'), file: '/plugins/b/main.mjs' },
  ]);
}

const EXCEPTION = { isRejection: false };
const REJECTION = { isRejection: true };

test('a fault that reached the process detaches the plugin that its stack names', async () => {
  for (const place of [
    'file:///plugins/b/main.mjs',
    '/plugins/b/lib/helper.mjs',
    'file:///plugins/b/main.mjs?v=1',
  ]) {
    const { host } = await mixedHost();
    const fault = errorFrom(
      new Error('x'),
      OWN('plugin/metadata/embedded.ts'),
      place,
      OWN('plugin/node/query/router.ts'),
    );
    check.is(host.onProcessFault(fault, REJECTION), true, place);
    check.equal(host.attachedNames, ['own', 'a'], place);
  }
  for (const part of ['migration-pull.ts', 'role-changes.ts', 'copy-pacer.ts']) {
    const { host } = await mixedHost();
    const agent = errorFrom(new TypeError('x'), OWN(`plugin/engines/migration-agent/${part}`));
    check.is(host.onProcessFault(agent, REJECTION), true, part);
    check.equal(host.attachedNames, ['a', 'b'], part);
  }
});

test('a fault of the engine or the node is no plugin’s, though plugins are attached', async () => {
  const { host } = await mixedHost();
  for (const files of [
    [OWN('plugin/engines/lmdb/group-commit.ts')],
    [OWN('src/base/assert.ts'), OWN('plugin/engines/lmdb/lmdb-partition-store.ts'), '/plugins/a/main.mjs'],
    ['/app/node_modules/lmdb/write.js'],
    [OWN('plugin/node/query/router.ts'), 'node:net'],
  ])
    check.is(host.onProcessFault(errorFrom(new InvariantError('x'), ...files), EXCEPTION), false, files[0]);
  check.equal(host.attachedNames, ['own', 'a', 'b']);
});

test('a fault without a trace is blamed on plugins of others; without any on our own; then on the node', async () => {
  const { host, logger } = await mixedHost();
  check.is(host.onProcessFault('a string', EXCEPTION), true);
  check.equal(host.attachedNames, ['own']);
  check.is(logger.errors.length, 1);
  // What the others left behind may fail for ever.
  check.is(host.onProcessFault('again', REJECTION), true);
  check.equal(host.attachedNames, ['own']);
  check.is(logger.errors.length, 1);

  const { host: ownOnly } = await queryHost([counting('own').plugin]);
  check.is(ownOnly.onProcessFault(new Error('a peer is down'), REJECTION), false, 'the world, not a bug');
  check.equal(ownOnly.attachedNames, ['own']);
  check.is(ownOnly.onProcessFault('a string', EXCEPTION), true);
  check.equal(ownOnly.attachedNames, []);
  check.is(ownOnly.onProcessFault('a string', EXCEPTION), false);
});

test('a fault that a plugin reports detaches it once, however often it is reported', async () => {
  let context: QueryNodeContext | undefined;
  let detachCount = 0;
  const { host, logger } = await queryHost([
    definePlugin({
      name: 'reports',
      attachQueryNode(given) {
        context = given;
        return {
          hooks: { onRoute: () => true },
          detach() {
            detachCount++;
          },
        };
      },
    }),
  ]);
  context?.reportFault(new InvariantError('its thread died'));
  context?.reportFault(new InvariantError('and again'));
  check.is(host.hooks.onRoute, null);
  check.is(detachCount, 1);
  check.is(logger.errors.length, 1);
});

test('a plugin that fails while it attaches does not keep the node from serving', async () => {
  const good = counting('good');
  const { host, logger } = await queryHost([
    definePlugin({ name: 'throws', attachQueryNode: () => Promise.reject(new Error('no start')) }),
    definePlugin({
      name: 'reports',
      attachQueryNode(context) {
        context.reportFault(new Error('fault during start'));
        return { hooks: { onRoute: () => true }, detach() {} };
      },
    }),
    good.plugin,
  ]);
  check.equal(host.attachedNames, ['good']);
  check.is(host.hooks.onRoute, null);
  check.equal(
    logger.errors.map(({ fields }) => fields.fault),
    ['no start', 'fault during start'],
  );
});

test('a wrong setting found by a plugin is the operator’s to mend, not a fault', async () => {
  const wrong = definePlugin({
    name: 'strict',
    attachQueryNode() {
      throw new ForeshardError('FORESHARD_CONFIG', 'fix-config', 'strict.colour: found 3');
    },
  });
  let message = '';
  await queryHost([wrong]).catch((error: Error) => {
    message = error.message;
  });
  check.is(message, 'strict.colour: found 3');
});

test('a verb’s refusal is its answer; its own bug detaches', async () => {
  let failure: Error = new ForeshardError('FORESHARD_STALE_EPOCH', 'refresh-map', 'old');
  const plugin = definePlugin({
    name: 'agent',
    attachStorageNode: () => ({ hooks: { redirect: () => Promise.reject(failure) }, detach() {} }),
  });
  const { host } = await storageHost([plugin]);
  const refusal = await host.hooks.redirect?.('redirect.fence', {}).catch((error: Error) => error.message);
  check.is(refusal, 'old');
  check.type(host.hooks.redirect, 'function');
  failure = new InvariantError('an epoch went back');
  await host.hooks.redirect?.('redirect.fence', {}).catch(() => undefined);
  check.is(host.hooks.redirect, null);
  check.is(host.faultCount, 1);
});

test('control goes to the first plugin that answers, and fails clearly when none does', async () => {
  const { host } = await queryHost([
    counting('silent').plugin,
    definePlugin({
      name: 'answers',
      attachQueryNode: () => ({
        hooks: {},
        control: (body) => (body.operation === 'ownership' ? Promise.resolve('mine') : undefined),
        detach() {},
      }),
    }),
  ]);
  check.is(await host.control({ operation: 'ownership' }), 'mine');
  const error = await host.control({ operation: 'profile' }).catch((caught: ForeshardError) => caught);
  check.is((error as ForeshardError).code, 'FORESHARD_UNAVAILABLE');
});

test('closing detaches in the reverse order and empties the slots', async () => {
  const order: string[] = [];
  const named = (name: string) =>
    definePlugin({
      name,
      attachQueryNode: () => ({
        hooks: { onRoute: () => false },
        detach() {
          order.push(name);
        },
      }),
    });
  const { host } = await queryHost([named('first'), named('second')]);
  await host.close();
  check.equal(order, ['second', 'first']);
  check.is(host.hooks.onRoute, null);
});

test('a user’s plugin is loaded from a file; what is no plugin is refused by name', async () => {
  await withTemporaryFolder(async (folder) => {
    const good = join(folder, 'good.mjs');
    const bad = join(folder, 'bad.mjs');
    writeFileSync(good, "export default { name: 'mine' };");
    writeFileSync(bad, 'export const nothing = 1;');
    const plugins = await loadPlugins(['foreshard', good]);
    check.equal(
      plugins.map(({ name }) => name),
      ['foreshard', 'mine'],
    );
    for (const [module, expected] of [
      [bad, /bad\.mjs" is no plugin: it must export default/],
      [join(folder, 'gone.mjs'), /plugin\.modules: cannot load ".*gone\.mjs"/],
    ] as const) {
      const error = await loadPlugins([module]).catch((caught: ForeshardError) => caught);
      check.is((error as ForeshardError).code, 'FORESHARD_CONFIG');
      check.match((error as ForeshardError).message, expected);
    }
  });
});

test('settings are taken over by all plugins or by none, and who cannot go back is detached', async () => {
  const next = { ...DEFAULT_SETTINGS, plugin: { ...DEFAULT_SETTINGS.plugin, mode: 'auto' as const } };
  const taken: string[] = [];
  const reloading = (name: string, reload: (mode: string) => void) =>
    definePlugin({
      name,
      attachQueryNode: () => ({
        hooks: {},
        reload: async ({ plugin: { mode } }) => {
          taken.push(`${name} ${mode}`);
          reload(mode);
        },
        detach() {},
      }),
    });
  const refuse = (mode: string) => (found: string) => {
    if (found === mode) throw new Error(`not ${mode}`);
  };
  const former = DEFAULT_SETTINGS.plugin.mode;
  const { host } = await queryHost([
    reloading('first', () => undefined),
    reloading('lost', refuse(former)),
    reloading('last', refuse('auto')),
  ]);
  const fault = await host.reload(next, DEFAULT_SETTINGS).catch((error: Error) => error.message);
  check.is(fault, 'not auto');
  check.equal(taken, ['first auto', 'lost auto', 'last auto', `lost ${former}`, `first ${former}`]);
  check.equal(host.attachedNames, ['first', 'last']);
});

test.run();
