import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import type { OnQueryCompleted } from '../../../plugin/host/hooks.ts';
import { loadPlugins, QueryNodeHost, StorageNodeHost } from '../../../plugin/host/host.ts';
import { definePlugin, type PluginDefinition, type QueryNodeContext } from '../../../plugin/host/plugin.ts';
import { systemClock } from '../../../src/base/clock.ts';
import { ForeshardError, InvariantError } from '../../../src/base/errors.ts';
import type { Logger } from '../../../src/base/logger.ts';
import type { MetadataStore } from '../../../src/ports/metadata-store.ts';
import type { PartitionStore } from '../../../src/ports/partition-store.ts';
import { DEFAULT_SETTINGS } from '../../../src/settings.ts';
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

async function queryHost(plugins: readonly PluginDefinition[]) {
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

test.run();
