import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { changedSettings, needingRestart } from '../../../../plugin/host/config/changed-settings.ts';
import { LiveConfig } from '../../../../plugin/host/config/live-config.ts';
import { ForeshardError } from '../../../../src/base/errors.ts';
import { type Logger, silentLogger } from '../../../../src/base/logger.ts';
import { DEFAULT_SETTINGS, type Settings } from '../../../../src/settings.ts';

const test = suite('live config');

const changed: Settings = {
  ...DEFAULT_SETTINGS,
  plugin: { ...DEFAULT_SETTINGS.plugin, mode: 'auto' },
  affinity: {
    ...DEFAULT_SETTINGS.affinity,
    relief: { ...DEFAULT_SETTINGS.affinity.relief, zones: [{ low: 0.2, high: 0.7 }] },
  },
};
const stuck: Settings = {
  ...changed,
  cluster: { ...changed.cluster, partitionCount: 512 },
  migration: { ...changed.migration, shadowReadShare: 0.5, graceMs: 1 },
};

interface Harness {
  readonly config: LiveConfig;
  readonly applied: Settings[];
  readonly formers: Settings[];
  readonly lines: string[];
  next: () => Settings;
  isApplicable: boolean;
}

function harness(whenOpen = Promise.resolve()): Harness {
  const applied: Settings[] = [];
  const formers: Settings[] = [];
  const lines: string[] = [];
  const note = (fields: Record<string, unknown>, message: string): void => {
    lines.push(`${message} ${JSON.stringify(fields)}`);
  };
  const logger: Logger = { ...silentLogger, info: note, error: note };
  const found: Harness = {
    applied,
    formers,
    lines,
    next: () => changed,
    isApplicable: true,
    config: new LiveConfig(DEFAULT_SETTINGS, {
      logger,
      whenOpen,
      read: async () => found.next(),
      apply: async (settings, former) => {
        if (!found.isApplicable) throw new Error('no thread starts');
        applied.push(settings);
        formers.push(former);
      },
    }),
  };
  return found;
}

test('what differs is named by its path, and what a running node cannot take over is told apart', () => {
  check.equal(changedSettings(DEFAULT_SETTINGS, changed), ['plugin.mode', 'affinity.relief.zones']);
  check.equal(needingRestart(changedSettings(DEFAULT_SETTINGS, changed)), []);
  check.equal(needingRestart(changedSettings(DEFAULT_SETTINGS, stuck)), [
    'cluster.partitionCount',
    'migration.shadowReadShare',
  ]);
});

test('all that has changed is taken over, once', async () => {
  const found = harness();
  check.is((await found.config.reload()).outcome, 'applied');
  check.is((await found.config.reload()).outcome, 'unchanged');
  check.is(found.applied.length, 1);
  check.is(found.applied[0]?.plugin.mode, 'auto');
  check.is(found.formers[0], DEFAULT_SETTINGS);
  check.match(found.lines[0] as string, /config reloaded .*plugin\.mode.*affinity\.relief\.zones/);
});

test('what is asked for while a node is still being opened is done when it is open', async () => {
  let open = (): void => undefined;
  const whenOpen = new Promise<void>((resolve) => {
    open = resolve;
  });
  const found = harness(whenOpen);
  const reloaded = found.config.reload();
  await new Promise(setImmediate);
  check.equal(
    [found.applied.length, found.lines.length],
    [0, 0],
    'what is being opened would not hear of it',
  );
  open();
  check.is((await reloaded).outcome, 'applied');
  check.is(found.applied.length, 1);
});

test('if something needs a restart nothing is taken over, and the log names it', async () => {
  const found = harness();
  found.next = () => stuck;
  const told = await found.config.reload();
  check.is(told.outcome, 'refused');
  check.equal(told.needRestart, ['cluster.partitionCount', 'migration.shadowReadShare']);
  check.ok(told.changed.length > told.needRestart.length, 'what could be taken over is told as well');
  check.is(found.applied.length, 0);
  check.match(
    found.lines[0] as string,
    /cluster\.partitionCount needs a restart, migration\.shadowReadShare needs a restart: restart this process, or take/,
  );
  check.not.match(found.lines[0] as string, /graceMs needs|plugin\.mode needs/);
  found.next = () => changed;
  check.is((await found.config.reload()).outcome, 'applied', 'and later ones are taken');
});

test('a file that is wrong, and settings that nobody can apply, leave those before in force', async () => {
  const found = harness();
  found.next = () => {
    throw new ForeshardError('FORESHARD_CONFIG', 'fix-config', 'foreshard.config.yaml:3: …');
  };
  check.is((await found.config.reload()).outcome, 'refused');
  check.match(found.lines[0] as string, /not reloaded: the one before stays in force .*config\.yaml:3/);
  found.next = () => changed;
  found.isApplicable = false;
  check.is((await found.config.reload()).outcome, 'failed');
  found.isApplicable = true;
  check.is((await found.config.reload()).outcome, 'applied', 'it had not been taken for applied');
  const told = Object.fromEntries(
    found.config
      .readings()
      .map(({ name, labels, value }) => [`${name} ${labels?.outcome ?? ''}`.trim(), value]),
  );
  check.is(told['foreshard_config_reloads_total refused'], 1);
  check.is(told['foreshard_config_reloads_total failed'], 1);
  check.is(told.foreshard_config_last_reload_successful, 1);
});

test.run();
