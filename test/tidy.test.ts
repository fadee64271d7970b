/** The rules of structure that must hold: who may import whom, what `src/` may not call, no file that nobody uses. */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { REPOSITORY } from './support/repository.ts';

const test = suite('tidy');

interface SourceFile {
  readonly path: string;
  readonly text: string;
  /** Import specifiers as written, and `new URL('./worker' + …)` targets. */
  readonly imports: readonly string[];
  /** Repository paths of the relative ones. */
  readonly localImports: readonly string[];
}

function filesBelow(folder: string): string[] {
  return readdirSync(join(REPOSITORY, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts') && !entry.name.endsWith('.d.ts'))
    .map((entry) => relative(REPOSITORY, join(entry.parentPath ?? entry.path, entry.name)))
    .sort();
}

function readSource(path: string): SourceFile {
  const text = readFileSync(join(REPOSITORY, path), 'utf8');
  const code = withoutComments(text);
  const imports: string[] = [];
  for (const match of code.matchAll(/(?:from|import)\s*\(?\s*['"]([^'"]+)['"]/g))
    imports.push(match[1] as string);
  for (const match of code.matchAll(/new URL\(\s*['"](\.[^'"]+)['"]/g))
    imports.push(/\.\w+$/.test(match[1] as string) ? (match[1] as string) : `${match[1]}.ts`);
  for (const match of code.matchAll(/new URL\(\s*`(\.[^`$]+)\$\{/g))
    imports.push(`${match[1]}.ts`.replace(/\.\.ts$/, '.ts'));
  const localImports = imports
    .filter((specifier) => specifier.startsWith('.'))
    .map((specifier) => relative(REPOSITORY, resolve(REPOSITORY, dirname(path), specifier)));
  // What a suite starts in a process of its own it names from the top (`test/support/repository.ts`).
  for (const match of code.matchAll(/(?:nodeArguments|moduleUrl)\(\s*'([^']+)'/g))
    localImports.push(match[1] as string);
  return { path, text: code, imports, localImports };
}

/** Comments may speak of banned things. Keeps line numbers. */
function withoutComments(text: string): string {
  return text
    .replace(/\/\*[\s\S]*?\*\//g, (comment) => comment.replace(/[^\n]/g, ''))
    .replace(/(^|[^:'"`])\/\/.*$/gm, '$1');
}

const sources = ['src', 'plugin', 'test', 'bench', 'examples'].flatMap(filesBelow).map(readSource);
const below = (folder: string): SourceFile[] => sources.filter((file) => file.path.startsWith(`${folder}/`));

/** Which folders and packages each room of `src/` may import, besides itself. `docs/architecture.md` tells why. */
const IMPORT_TABLE: Record<string, { folders: readonly string[]; packages: readonly string[] }> = {
  'src/base': { folders: [], packages: [] },
  'src/model': { folders: ['src/base'], packages: [] },
  'src/ports': { folders: ['src/model', 'src/base'], packages: [] },
  'src/kernels': {
    folders: ['src/model', 'src/base'],
    packages: [
      'piscina',
      '@assemblyscript/loader',
      'node:crypto',
      'node:fs',
      'node:os',
      'node:worker_threads',
      'node:url',
    ],
  },
  'src/analyzer': { folders: ['src/kernels', 'src/ports', 'src/model', 'src/base'], packages: [] },
  'src/affinity': { folders: ['src/kernels', 'src/ports', 'src/model', 'src/base'], packages: [] },
  'src/migration': { folders: ['src/kernels', 'src/ports', 'src/model', 'src/base'], packages: [] },
  'src/conformance': { folders: ['src/ports', 'src/model', 'src/base'], packages: [] },
  'src/routing': { folders: ['src/ports', 'src/model', 'src/base'], packages: [] },
};

test('every room of src imports only what its row of the import table allows', () => {
  const violations: string[] = [];
  for (const [room, allowed] of Object.entries(IMPORT_TABLE)) {
    for (const file of below(room)) {
      for (const target of file.localImports)
        if (
          !target.startsWith(`${room}/`) &&
          !allowed.folders.some((folder) => target.startsWith(`${folder}/`))
        )
          violations.push(`${file.path} imports ${target}`);
      for (const specifier of file.imports)
        if (!specifier.startsWith('.') && !allowed.packages.includes(specifier))
          violations.push(`${file.path} imports ${specifier}`);
    }
  }
  check.equal(violations, []);
});

test('src never reaches into the edge, and the plugin never into tests, benches or examples', () => {
  const violations: string[] = [];
  for (const file of below('src'))
    for (const target of file.localImports)
      if (!target.startsWith('src/')) violations.push(`${file.path} -> ${target}`);
  for (const file of below('plugin'))
    for (const target of file.localImports)
      if (!/^(src|plugin)\//.test(target)) violations.push(`${file.path} -> ${target}`);
  check.equal(violations, []);
});

/**
 * The rooms of the plugin, from the ground up: each imports only what stands on lower floors. Files beside the folders are rooms
 * as well, and so is what a package exports: it hands things on, and nobody below knows it.
 */
const PLUGIN_FLOORS: readonly (readonly string[])[] = [
  ['version.ts', 'make-folder.ts', 'hooks.ts', 'threads', 'resp', 'security', 'metrics', 'logs', 'templates'],
  ['calendar', 'commands', 'metadata', 'rpc', 'solver', 'webhooks'],
  ['capture', 'engines/migration-agent'],
  ['engines/lmdb', 'host'],
  ['node', 'redis'],
  ['engines/redis-cluster'],
  ['operator', 'index.ts', 'redis/index.ts'],
];

/** Loaded while the program runs, by who needs nothing of it: our own plugin as any other, the command line as a process. */
const LOADED_BY_NAME = ['plugin/index.ts', 'plugin/operator/cli.ts'];

test('every room of the plugin imports only rooms of lower floors', () => {
  const rooms = PLUGIN_FLOORS.flatMap((names, floor) =>
    names.map((name) => ({ path: `plugin/${name}`, floor })),
  );
  const roomOf = (path: string) =>
    rooms.find((room) => room.path === path) ?? rooms.find((room) => path.startsWith(`${room.path}/`));
  const violations = below('plugin').flatMap(({ path, localImports }) => {
    const room = roomOf(path);
    if (room === undefined) return [`${path} stands on no floor`];
    return localImports
      .filter((target) => target.startsWith('plugin/') && !LOADED_BY_NAME.includes(target))
      .filter((target) => roomOf(target) !== room && (roomOf(target)?.floor ?? 0) >= room.floor)
      .map((target) => `${path} imports ${target}`);
  });
  check.equal(violations, []);
});

test('the page on architecture has the rooms of the plugin on these floors', () => {
  const page = readFileSync(join(REPOSITORY, 'docs/architecture.md'), 'utf8');
  const rows = new Map(
    [...page.matchAll(/^\| (\d) \| (.+) \|$/gm)].map(([, floor, text = '']) => [Number(floor), text]),
  );
  check.is(rows.size, PLUGIN_FLOORS.length);
  // Of the files beside the folders the page names one.
  const unsaid = PLUGIN_FLOORS.flatMap((rooms, floor) =>
    rooms.filter(
      (room) =>
        !['version.ts', 'make-folder.ts'].includes(room) && !rows.get(floor + 1)?.includes(`\`${room}\``),
    ),
  );
  check.equal(unsaid, []);
});

/** The folders of the agent for Redis, from the ground up, as `docs/redis.md` has them; files beside them stand on top. */
const REDIS_FLOORS: readonly (readonly string[])[] = [
  ['server'],
  ['steps'],
  ['topology'],
  ['claims'],
  ['slots'],
  ['copy-first', 'atomic'],
  ['dry-run'],
  ['moves'],
  ['load'],
];

test('every folder of the agent for Redis imports only folders of lower floors', () => {
  const room = 'plugin/engines/redis-cluster';
  const floorOf = (path: string): number => {
    const [folder = '', ...inside] = relative(room, path).split('/');
    return inside.length === 0
      ? REDIS_FLOORS.length
      : REDIS_FLOORS.findIndex((names) => names.includes(folder));
  };
  const violations = below(room).flatMap(({ path, localImports }) => {
    if (floorOf(path) < 0) return [`${path} stands on no floor`];
    return localImports
      .filter((target) => target.startsWith(`${room}/`) && dirname(target) !== dirname(path))
      .filter((target) => floorOf(target) >= floorOf(path))
      .map((target) => `${path} imports ${target}`);
  });
  check.equal(violations, []);
  const page = readFileSync(join(REPOSITORY, 'docs/redis.md'), 'utf8');
  const rows = [...page.matchAll(/^\| (`[a-z-]+\/`(?:, `[a-z-]+\/`)*) \|/gm)];
  check.equal(
    rows.map(([, names = '']) => [...names.matchAll(/[a-z-]+/g)].map(String)),
    REDIS_FLOORS,
  );
});

/** What a module needs before it can run: types are gone by then. */
function valueImports(file: SourceFile): string[] {
  const statements = file.text.matchAll(
    /^\s*(?:import|export)\s+(type\s)?([^;'"]*?)from\s*['"](\.[^'"]+)['"]/gm,
  );
  return [...statements].flatMap(([, type, names = '', specifier = '']) => {
    const named = names
      .trim()
      .match(/^\{([\s\S]*)\}$/)?.[1]
      ?.split(',')
      .filter((name) => name.trim() !== '');
    const isTypes = type !== undefined || named?.every((name) => name.trim().startsWith('type '));
    return isTypes ? [] : [relative(REPOSITORY, resolve(REPOSITORY, dirname(file.path), specifier))];
  });
}

test('no module needs itself by way of others', () => {
  const importsOf = new Map(sources.map((file) => [file.path, valueImports(file)]));
  const settled = new Set<string>();
  const circles: string[] = [];
  const visit = (path: string, way: readonly string[]): void => {
    if (way.includes(path)) circles.push([...way.slice(way.indexOf(path)), path].join(' -> '));
    if (way.includes(path) || settled.has(path)) return;
    for (const target of importsOf.get(path) ?? []) visit(target, [...way, path]);
    settled.add(path);
  };
  for (const path of importsOf.keys()) visit(path, []);
  check.equal(circles, []);
  check.ok([...importsOf.values()].flat().length > 1000, 'imports were found at all');
});

test('the kernels import nothing but one another', () => {
  const kernels = filesBelow('assembly').map(readSource);
  const violations = kernels.flatMap(({ path, imports, localImports }) =>
    localImports.length === imports.length && localImports.every((target) => target.startsWith('assembly/'))
      ? []
      : [`${path}: ${imports.join(', ')}`],
  );
  check.ok(kernels.length > 10, 'kernels were found at all');
  check.equal(violations, []);
});

test('src takes time and chance as components', () => {
  const banned =
    /\b(Date\.now|new Date\(\)|Math\.random|performance\.now|setTimeout|setInterval|setImmediate|process\.(?:env|hrtime))\b/;
  const violations: string[] = [];
  for (const file of below('src')) {
    if (file.path.startsWith('src/base/') || file.path === 'src/kernels/bytes.ts') continue;
    file.text.split('\n').forEach((line, index) => {
      const match = line.match(banned);
      if (match) violations.push(`${file.path}:${index + 1} ${match[0]}`);
    });
  }
  check.equal(violations, []);
});

test('no module keeps hidden state', () => {
  const violations: string[] = [];
  for (const file of [...below('src'), ...below('plugin')])
    file.text.split('\n').forEach((line, index) => {
      if (/^(export )?let /.test(line)) violations.push(`${file.path}:${index + 1} ${line}`);
    });
  check.equal(violations, []);
});

test('a third-party package of the edge is used in one folder', () => {
  const foldersOf = new Map<string, Set<string>>();
  for (const file of below('plugin'))
    for (const specifier of file.imports) {
      if (specifier.startsWith('.') || specifier.startsWith('node:')) continue;
      const folders = foldersOf.get(specifier) ?? new Set();
      foldersOf.set(specifier, folders.add(file.path.split('/').slice(0, 2).join('/')));
    }
  const spread = [...foldersOf].filter(([name, folders]) => folders.size > 1 && !SHARED_PACKAGES.has(name));
  check.equal(
    spread.map(([name, folders]) => `${name}: ${[...folders].sort().join(', ')}`),
    [],
  );
});

/** LMDB is both the embedded engine and the embedded metadata store; msgpackr is the one encoding on wires and in records. */
const SHARED_PACKAGES = new Set(['lmdb', 'msgpackr', 'zod']);

/** Started by name, not imported. */
const ENTRY_POINTS = [
  /^src\/index\.ts$/,
  /^src\/conformance\/index\.ts$/,
  /^plugin\/index\.ts$/,
  /^plugin\/redis\/index\.ts$/,
  /^plugin\/operator\/cli\.ts$/,
  /^plugin\/operator\/dashboard\/page\/app\.ts$/,
  /^examples\/[^/]+\/main\.ts$/,
  /^bench\/[^/]+\.ts$/,
  /^test\/run\.ts$/,
  /^test\/scenarios\/faults\/main\.ts$/,
  /^test\/simulator\/main\.ts$/,
  /^test\/fuzz\/main\.ts$/,
  /\.test\.ts$/,
];

test('every file is used by somebody', () => {
  const used = new Set(sources.flatMap((file) => file.localImports));
  const dead = sources
    .map((file) => file.path)
    .filter((path) => !used.has(path) && !ENTRY_POINTS.some((entry) => entry.test(path)));
  check.equal(dead, []);
});

test('src and plugin are not kept alive by tests alone', () => {
  const used = new Set(
    sources.filter((file) => !file.path.startsWith('test/')).flatMap((file) => file.localImports),
  );
  const dead = [...below('src'), ...below('plugin')]
    .map((file) => file.path)
    .filter((path) => !used.has(path) && !ENTRY_POINTS.some((entry) => entry.test(path)));
  check.equal(dead, []);
});

test.run();
