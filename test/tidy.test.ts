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
