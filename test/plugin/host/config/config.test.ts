import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { loadSettings, showableSettings } from '../../../../plugin/host/config/config.ts';
import { configJsonSchema } from '../../../../plugin/host/config/config-schema.ts';
import { ForeshardError } from '../../../../src/base/errors.ts';
import { SETTING_RANGES } from '../../../../src/setting-ranges.ts';
import { DEFAULT_SETTINGS, type Settings } from '../../../../src/settings.ts';
import { withTemporaryFolder } from '../../../support/temporary-folder.ts';

const test = suite('config');

interface Sources {
  readonly files?: Readonly<Record<string, string>>;
  readonly environment?: Readonly<Record<string, string>>;
  readonly file?: string;
}

async function load(sources: Sources): Promise<{ settings: Settings; folder: string }> {
  return withTemporaryFolder(async (folder) => {
    for (const [name, text] of Object.entries(sources.files ?? {})) writeFileSync(join(folder, name), text);
    const { settings } = await loadSettings({
      file: sources.file,
      folder,
      environment: sources.environment ?? {},
    });
    return { settings, folder };
  });
}

async function messageOf(sources: Sources): Promise<string> {
  try {
    await load(sources);
  } catch (error) {
    check.instance(error, ForeshardError);
    check.is((error as ForeshardError).code, 'FORESHARD_CONFIG');
    return (error as ForeshardError).message;
  }
  throw new Error('the config was accepted');
}

const FORMATS: Readonly<Record<string, string>> = {
  'foreshard.config.ts': 'const count: number = 32; export default { cluster: { partitionCount: count } };',
  'foreshard.config.js': 'export default { cluster: { partitionCount: 32 } };',
  'foreshard.config.mjs': 'export default { cluster: { partitionCount: 32 } };',
  'foreshard.config.json': '{ "cluster": { "partitionCount": 32 } }',
  'foreshard.config.yaml': '# a comment\ncluster:\n  partitionCount: 32\n',
  'foreshard.config.toml': '[cluster]\npartitionCount = 32\n',
};
for (const [name, text] of Object.entries(FORMATS))
  test(`${name} is found and read`, async () => {
    const { settings } = await load({ files: { [name]: text } });
    check.is(settings.cluster.partitionCount, 32);
    check.is(settings.cluster.storageNodeCount, DEFAULT_SETTINGS.cluster.storageNodeCount);
  });

test('a file of any format that has changed is read anew, as a reload does', async () => {
  for (const [name, text] of Object.entries(FORMATS))
    await withTemporaryFolder(async (folder) => {
      for (const partitionCount of [32, 64, 128]) {
        writeFileSync(join(folder, name), text.replace('32', String(partitionCount)));
        const { settings } = await loadSettings({ folder, environment: {} });
        check.is(settings.cluster.partitionCount, partitionCount, name);
      }
    });
});

test('without a file the defaults hold, and they are consistent', async () => {
  const { settings } = await load({});
  check.equal(settings.affinity, DEFAULT_SETTINGS.affinity);
  check.is(settings.plugin.mode, 'observe');
});

test('a JSON file may name its schema for an editor, and that is no setting', async () => {
  const { settings } = await load({
    files: { 'foreshard.config.json': '{ "$schema": "./schema.json", "cluster": { "partitionCount": 32 } }' },
  });
  check.is(settings.cluster.partitionCount, 32);
  check.not.ok('$schema' in settings);
});

test('settings are frozen to the last leaf', async () => {
  const { settings } = await load({
    files: { 'foreshard.config.json': '{"cluster":{"partitionCount":64}}' },
  });
  check.throws(() => {
    (settings.cluster.nodeCapacity as { queries: number }).queries = 1;
  }, /read only|read-only/);
});

test('the environment overrides the file, by the type of the setting', async () => {
  const { settings } = await load({
    files: {
      'foreshard.config.json': '{"cluster":{"partitionCount":64,"nodeCapacity":{"queries":5}}}',
    },
    environment: {
      FORESHARD_CLUSTER_PARTITION_COUNT: '128',
      FORESHARD_CLUSTER_NODE_CAPACITY_QUERIES: '2.5',
      FORESHARD_PLUGIN_MODULES: 'foreshard, /opt/other.js',
      FORESHARD_SECURITY_PASSWORD: '1234',
      FORESHARD_REQUIRE: 'redis',
    },
  });
  check.is(settings.cluster.partitionCount, 128);
  check.is(settings.cluster.nodeCapacity.queries, 2.5);
  check.equal(settings.plugin.modules, ['foreshard', '/opt/other.js']);
  check.is(settings.security.password, '1234');
});

test('what a parser says of what it could not read is told in a line of bearable length', async () => {
  const message = await messageOf({
    files: { 'foreshard.config.yaml': `!a${'<'.repeat(5_000)} x\n` },
  });
  check.match(
    message,
    /config\.yaml:1: cannot be read: tag name cannot contain such characters: a<+\.\.\.: mend the file$/,
  );
  check.ok(message.length < 600, `${message.length} characters`);
});

test('a node’s own file says what it is, and by what others reach it', async () => {
  const own = 'cluster:\n  name: shop\nnode:\n  role: storage\n  id: 3\n  zone: "7"\n';
  const listens = "  peerListen: '0.0.0.0:7400'\n";
  const { settings } = await load({
    files: { 'own.yaml': `${own}${listens}  advertiseHost: db-3.example\n  capacity: { queries: 900 }\n` },
    environment: { FORESHARD_NODE_ZONE: '8', FORESHARD_NODE_ADVERTISE_PORT: '17400' },
    file: 'own.yaml',
  });
  const { role, id, zone, capacity, advertiseHost, advertisePort } = settings.node;
  check.equal([role, id, zone, advertiseHost, advertisePort], ['storage', 3, '8', 'db-3.example', 17_400]);
  check.equal(capacity, { queries: 900, cpuSeconds: null, readBytes: null, writeBytes: null });
  const wildcards = ['0.0.0.0', '[::]', '0', '[0:0::0]'];
  for (const host of wildcards) {
    const message = await messageOf({
      files: { 'own.yaml': `${own}  peerListen: '${host}:7400'\n` },
      file: 'own.yaml',
    });
    check.match(message, /node\.advertiseHost: found null, it must be the name or address/);
  }
  await load({ files: { 'own.yaml': `${own}  peerListen: '[::1]:7400'\n` }, file: 'own.yaml' });
  check.match(
    await messageOf({ files: { 'own.yaml': `${own}  healthListen: 10.0.0.7:7401\n` }, file: 'own.yaml' }),
    /own\.yaml:7: node\.healthListen: found "10\.0\.0\.7:7401", it must be a loopback address/,
  );
  for (const healthListen of ['127.0.0.1:7401', '[::1]:7401', 'unix:/run/health.sock'])
    await load({ files: { 'own.yaml': `${own}  healthListen: '${healthListen}'\n` }, file: 'own.yaml' });
  check.match(
    await messageOf({ files: { 'foreshard.config.yaml': 'node:\n  id: 3\n' } }),
    /node\.role: found null, it must be "storage" or "query" beside node\.id/,
  );
  check.match(
    await messageOf({ files: { 'foreshard.config.yaml': 'node:\n  role: query\n  id: 3\n' } }),
    /config\.yaml:3: node\.id: found 3, it must be 10000 or above/,
  );
});

test('relative paths start at the config file, wherever the process runs', async () => {
  const { settings, folder } = await load({
    files: { 'own.yaml': 'metadata:\n  path: meta\nplugin:\n  modules: [./mine.js]\n' },
    file: 'own.yaml',
  });
  check.is(settings.metadata.path, join(folder, 'meta'));
  check.equal(settings.plugin.modules, [join(folder, 'mine.js')]);
});

test('an error names file, line, path, what was found and what it must be', async () => {
  const message = await messageOf({
    files: { 'foreshard.config.yaml': 'node:\n  logLevel: info\ncluster:\n  partitionCount: many\n' },
  });
  check.match(message, /foreshard\.config\.yaml:4: cluster\.partitionCount: found "many"/);
  check.match(message, /it must be an integer from 16 to 16384.*default 256/);
});

test('every mistake is told at once', async () => {
  const message = await messageOf({
    files: {
      'foreshard.config.json': '{\n"cluster": {"partitionCount": "x"},\n"plugin": {"mode": "fast"}\n}',
    },
    environment: { FORESHARD_CAPTURE_RING_SLOTS: 'lots' },
  });
  check.match(message, /config\.json:2: cluster\.partitionCount/);
  check.match(message, /config\.json:3: plugin\.mode: found "fast", it must be one of "observe"/);
  check.match(message, /FORESHARD_CAPTURE_RING_SLOTS: capture\.ringSlots: found "lots"/);
});

test('a name that is half right leads to the one that begins so, and to none where several do', async () => {
  const half = await messageOf({
    files: {
      'foreshard.config.json':
        '{"cluster": {"storageNodes": 3}, "metadata": {"path1234": "x"}, "capture": {"key": 2}}',
    },
  });
  check.match(half, /cluster\.storageNodes: unknown setting: did you mean storageNodeCount\?/);
  check.match(half, /metadata\.path1234: unknown setting: remove it/);
  check.match(half, /capture\.key: unknown setting: remove it \(known here: .*keyPrefixBytes, keyHash/);
});

test('an unknown key is refused at every depth, with the nearest known one', async () => {
  const message = await messageOf({
    files: {
      'foreshard.config.toml':
        '[cluster]\npartitonCount = 64\n[forecast.ridge]\nlamda = 1.0\n[extra]\nkey = 1\n',
    },
  });
  check.match(message, /:2: cluster\.partitonCount: unknown setting.*did you mean partitionCount\?/);
  check.match(message, /:4: forecast\.ridge\.lamda: unknown setting.*did you mean lambda\?/);
  check.match(message, /extra: unknown setting: remove it \(known here: cluster, node/);
});

test('claims over several settings are checked, and their remedy is told', async () => {
  const cases: readonly [string, RegExp][] = [
    ['{"cluster":{"partitionCount":100}}', /cluster\.partitionCount: found 100, it must be a power of two/],
    [
      '{"cluster":{"partitionCount":16,"storageNodeCount":17}}',
      /cluster\.storageNodeCount: found 17.*at most/,
    ],
    ['{"capture":{"ringSlots":1000}}', /capture\.ringSlots: found 1000, it must be a power of two/],
    ['{"analyzer":{"windowMs":1700}}', /analyzer\.windowMs: found 1700, it must be a divisor of one week/],
    ['{"redis":{"slotMove":{"settle":"on"}}}', /redis\.slotMove\.settle: found "on", .*"auto" or "off"/],
    [
      '{"plugin":{"mode":"auto"}}',
      /cluster\.nodeCapacity\.queries: found null.*plugin\.mode "auto" balances/,
    ],
  ];
  for (const [text, expected] of cases)
    check.match(await messageOf({ files: { 'foreshard.config.json': text } }), expected);
});

test('every range of every room is checked when the settings are loaded, and each mistake is told', async () => {
  const message = await messageOf({
    files: {
      'foreshard.config.yaml': [
        'forecast:',
        '  level: 80',
        '  driver: keys',
        '  ridge:',
        '    lagWindows: 24.5',
        'affinity:',
        '  iterations: -1',
        '  dimensions: [queries]',
        'migration:',
        '  fenceBudgetMs: 500000',
        '  readWeightSteps: [0.5, 0.25]',
        '  retryMsMin: 20000',
      ].join('\n'),
    },
    environment: { FORESHARD_MIGRATION_ATTEMPTS_MAX: '0' },
  });
  for (const expected of [
    /yaml:2: forecast\.level: found 80, it must be a number from 0\.5 to 0\.99 \(default 0\.8\)/,
    /yaml:3: forecast\.driver: found "keys", it must be one of queries, cpuSeconds/,
    /yaml:5: forecast\.ridge\.lagWindows: found 24\.5, it must be an integer from 168 to 672/,
    /yaml:7: affinity\.iterations: found -1, it must be an integer from 0 to/,
    /yaml:8: affinity\.dimensions: found \["queries"\], it must be a list of \{ dimension, weight \}/,
    /yaml:10: migration\.fenceBudgetMs: found 500000, it must be an integer from 10 to 60000/,
    /yaml:11: migration\.readWeightSteps: found \[0\.5,0\.25\], it must be .* each above the one before/,
    /migration\.retryMsMax: found 10000, it must be at least migration\.retryMsMin \(20000\)/,
    /^FORESHARD_MIGRATION_ATTEMPTS_MAX: migration\.attemptsMax: found 0, it must be an integer from 1/m,
  ])
    check.match(message, expected);
  check.is(message.split('\n').length, 9, message);
});

test('what is wrong in itself and what does not go together are told at once, but nothing that only a default would break', async () => {
  const message = await messageOf({
    files: {
      'foreshard.config.yaml': [
        'cluster:',
        '  partitionCount: many',
        '  storageNodeCount: 300',
        'capture:',
        '  ringSlots: 1000',
        'plugin:',
        '  mod: auto',
      ].join('\n'),
    },
    environment: { FORESHARD_ANALYZER_WINDOW_MS: '1700' },
  });
  check.match(message, /yaml:2: cluster\.partitionCount: found "many"/);
  check.match(message, /yaml:7: plugin\.mod: .*mode/);
  check.match(message, /yaml:5: capture\.ringSlots: found 1000, it must be a power of two/);
  check.match(message, /FORESHARD_ANALYZER_WINDOW_MS: analyzer\.windowMs: found 1700/);
  check.not.match(message, 'storageNodeCount: found', 'how many partitions there are is not known');
  check.is(message.split('\n').length, 4, message);
});

test('a file that cannot be parsed is named with the place', async () => {
  for (const [name, text, expected] of [
    [
      'foreshard.config.yaml',
      'cluster:\n  a: [1\n',
      /foreshard\.config\.yaml:\d+: cannot be read.*\(\d+:\d+\)/,
    ],
    ['foreshard.config.json', '{"a": 1,}', /foreshard\.config\.json:\d+: cannot be read.*position \d+/],
    ['foreshard.config.ts', 'export default {', /foreshard\.config\.ts:1: cannot be read/],
  ] as const)
    check.match(await messageOf({ files: { [name]: text } }), expected);
});

test('what is no config is refused before it is read', async () => {
  check.match(await messageOf({ file: 'missing.yaml' }), /missing\.yaml: no such file/);
  check.match(await messageOf({ files: { 'a.txt': 'x' }, file: 'a.txt' }), /ends in .*found "\.txt"/);
  check.match(
    await messageOf({ files: { 'foreshard.config.json': '{}', 'foreshard.config.yaml': 'a: 1' } }),
    /found foreshard\.config\.json and foreshard\.config\.yaml: keep one/,
  );
  check.match(await messageOf({ files: { 'foreshard.config.json': '[1]' } }), /must hold sections/);
});

test('an empty file, or one of comments, changes nothing', async () => {
  for (const text of ['', '# nothing yet\n']) {
    const { settings } = await load({ files: { 'foreshard.config.yaml': text } });
    check.is(settings.cluster.partitionCount, 256);
  }
});

test('a config reads no other file and fetches nothing', async () => {
  const message = await messageOf({
    files: {
      'foreshard.config.json': '{"extends": "gh:someone/else"}',
      '.env': 'FORESHARD_CLUSTER_PARTITION_COUNT=32',
      '.foreshardrc': 'cluster.partitionCount=64',
    },
  });
  check.match(message, /extends: unknown setting/);
  const { settings } = await load({
    files: {
      'foreshard.config.json': '{}',
      '.env': 'FORESHARD_CLUSTER_PARTITION_COUNT=32',
      '.foreshardrc': 'cluster.partitionCount=64',
      'package.json': '{"foreshard":{"cluster":{"partitionCount":16}}}',
    },
  });
  check.is(settings.cluster.partitionCount, 256);
});

test('a variable that begins like a section but names no setting is refused', async () => {
  check.match(
    await messageOf({ environment: { FORESHARD_NODE_COLOUR: 'red' } }),
    /FORESHARD_NODE_COLOUR: no setting/,
  );
});

test('a password comes from a private file or the environment, and is never shown', async () => {
  await withTemporaryFolder(async (folder) => {
    const secretFile = join(folder, 'secret');
    writeFileSync(secretFile, 'hunter2\n');
    writeFileSync(join(folder, 'foreshard.config.yaml'), 'security:\n  passwordFile: secret\n');
    chmodSync(secretFile, 0o644);
    let message = '';
    await loadSettings({ folder, environment: {} }).catch((error: Error) => {
      message = error.message;
    });
    check.match(message, /can be read by others \(mode 644\): chmod 600/);
    chmodSync(secretFile, 0o600);
    const { settings } = await loadSettings({ folder, environment: {} });
    check.is(settings.security.password, 'hunter2');
    check.not.match(JSON.stringify(showableSettings(settings)), 'hunter2');
  });
  const message = await messageOf({ files: { 'foreshard.config.yaml': 'security:\n  password: hunter2\n' } });
  check.not.match(message, 'hunter2');
  check.match(message, /FORESHARD_SECURITY_PASSWORD/);
});

test('the JSON Schema knows every section of the settings', () => {
  const schema = configJsonSchema(DEFAULT_SETTINGS) as { properties: Record<string, unknown> };
  check.equal(Object.keys(schema.properties).sort(), Object.keys(DEFAULT_SETTINGS).sort());
});

test('the JSON Schema tells what numbers may be, and every default is among that', () => {
  interface Leaf {
    readonly properties?: Readonly<Record<string, Leaf>>;
    readonly anyOf?: readonly Leaf[];
    readonly minimum?: number;
    readonly maximum?: number;
  }
  const bounded: string[] = [];
  const walk = (leaf: Leaf, standard: unknown, path: string): void => {
    for (const [name, below] of Object.entries(leaf.properties ?? {}))
      walk(below, (standard as Record<string, unknown> | null)?.[name], `${path}.${name}`);
    for (const one of [leaf, ...(leaf.anyOf ?? [])])
      if (one.maximum !== undefined && typeof standard === 'number') {
        check.ok(standard >= (one.minimum ?? Number.NEGATIVE_INFINITY) && standard <= one.maximum, path);
        bounded.push(path.slice(1));
      }
  };
  walk(configJsonSchema(DEFAULT_SETTINGS) as Leaf, DEFAULT_SETTINGS, '');
  for (const path of SETTING_RANGES.keys()) check.ok(bounded.includes(path), path);
  check.ok(bounded.includes('node.valueBytesMax'));
});

test('partitions that the kernels have no memory to forecast are refused, with the arithmetic and what helps', async () => {
  const withSettings = (settings: object) => ({
    files: { 'foreshard.config.json': JSON.stringify(settings) },
  });
  const forecast = { historyWindows: 4200 };
  check.match(
    await messageOf(withSettings({ cluster: { partitionCount: 16_384 }, forecast })),
    /cluster\.partitionCount: found 16384, .*historyWindows 4200 .*need \d+ MiB of kernel memory.*there are 512 MiB: take fewer/,
  );
  // With the defaults of the rest the largest map can be forecast, and without forecasts any.
  await load(withSettings({ cluster: { partitionCount: 16_384 } }));
  await load(withSettings({ cluster: { partitionCount: 16_384 }, forecast, plugin: { modules: [] } }));
});

test('a map that cannot hold what the quota allows is refused', async () => {
  const node = { mapSizeBytes: 16_777_217, dataBytesMax: 34_359_738_368 };
  check.match(
    await messageOf({ files: { 'foreshard.config.json': JSON.stringify({ node }) } }),
    /config\.json:1: node\.mapSizeBytes: found 16777217, it must be at least 2 x node\.dataBytesMax \(68719476736\)/,
  );
});

test('a file that holds null, or is cut off, is told with file, line and remedy', async () => {
  for (const [name, text, expected] of [
    ['foreshard.config.json', 'null', /config\.json: must hold sections with keys, found null: /],
    ['foreshard.config.yaml', 'null\n', /config\.yaml: must hold sections with keys, found null: /],
    [
      'foreshard.config.mjs',
      'export default null;',
      /config\.mjs: must hold sections with keys, found null: /,
    ],
    ['foreshard.config.json', '[1]', /config\.json: must hold sections with keys, found \[1\]: /],
    [
      'foreshard.config.json',
      '{\n  "cluster": {\n    "partitionCount": 6',
      /config\.json:3: cannot be read: .*: mend /,
    ],
    ['foreshard.config.json', '{\n  "cluster": {,\n}}', /config\.json:2: cannot be read: .*: mend /],
    ['foreshard.config.yaml', 'cluster:\n  name: "x\n', /config\.yaml:\d: cannot be read: .*: mend /],
    ['foreshard.config.toml', '[cluster]\nname = \n', /config\.toml:2: cannot be read: .*: mend /],
    ['foreshard.config.ts', 'export default {\n  cluster: {,\n};', /config\.ts:2: cannot be read: .*: mend /],
  ] as const)
    check.match(await messageOf({ files: { [name]: text } }), expected, `${name}: ${text}`);
});

test('a list with a wrong element is told as a whole, with its default', async () => {
  const migration = { readWeightSteps: [2, 'x'] };
  const standard = JSON.stringify(DEFAULT_SETTINGS.migration.readWeightSteps);
  const message = await messageOf({ files: { 'foreshard.config.json': JSON.stringify({ migration }) } });
  check.ok(
    message.endsWith(
      `migration.readWeightSteps: found [2,"x"], it must be a list of numbers (default ${standard})`,
    ),
    message,
  );
});

test('a key that nobody would write is told short, and without what a terminal obeys', () =>
  withTemporaryFolder(async (folder) => {
    const file = join(folder, 'foreshard.config.json');
    writeFileSync(file, JSON.stringify({ ['k'.repeat(40_000)]: 1, 'a\u001b[2Jb\n': 2 }));
    try {
      await loadSettings({ file, folder, environment: {} });
      check.unreachable();
    } catch (error) {
      const { message } = error as Error;
      check.instance(error, ForeshardError);
      check.ok(message.length < 2_000, `${message.length} characters`);
      check.is(message.split('\n').length, 2);
      check.ok(message.includes('a\\u001b[2Jb\\u000a: unknown setting'), message.slice(-300));
    }
  }));

test.run();
