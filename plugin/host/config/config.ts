import { existsSync, readFileSync, statSync } from 'node:fs';
import { dirname, extname, isAbsolute, join, relative, resolve } from 'node:path';
import { loadConfig as loadWithC12 } from 'c12';
import type { Inconsistency } from '../../../src/base/claims.ts';
import { ForeshardError } from '../../../src/base/errors.ts';
import { DEFAULT_SETTINGS, deepFreeze, type Settings } from '../../../src/settings.ts';
import { inconsistencies } from '../../../src/settings-claims.ts';
import { readPrivateFile } from '../../security/private-file.ts';
import { describeIssue, describeParseError, isSecret, show, type Tree } from './config-messages.ts';
import { configSchema, schemaIssues } from './config-schema.ts';
import { environmentOverrides, type Override } from './environment.ts';
import { readFresh } from './fresh-config.ts';
import { withoutUnits } from './units.ts';

const CONFIG_EXTENSIONS = ['.ts', '.js', '.mjs', '.json', '.yaml', '.yml', '.toml'] as const;
const CONFIG_NAME = 'foreshard.config';
/** More than any hand-written config needs; a wrong `--config` (a dump, a disk image) is refused before it is read. */
const CONFIG_BYTES_MAX = 1 << 20;

export interface LoadedConfig {
  readonly settings: Settings;
  /** The config file, absolute; null where there is none and the defaults hold. */
  readonly file: string | null;
  /** Relative paths of the settings start here. */
  readonly folder: string;
}

/**
 * Finds, reads and checks the settings: defaults, then the config file, then `FORESHARD_…` environment variables, then flags.
 *
 * @param options.file as given with `--config`, or undefined: then `foreshard.config.*` in `folder`, or none.
 * @throws ForeshardError FORESHARD_CONFIG naming the file, line, path, what was found and what to do, for every mistake.
 */
export async function loadSettings(options: {
  readonly file?: string | undefined;
  readonly folder: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** What a command line says, over all of these. */
  readonly flags?: readonly Override[];
}): Promise<LoadedConfig> {
  const file =
    options.file === undefined ? findConfigFile(options.folder) : resolve(options.folder, options.file);
  // `$schema` is where editors look for completion; it says nothing to us.
  const { $schema: _forEditors, ...fromFile } = file === null ? {} : await readConfigFile(file);
  const folder = file === null ? options.folder : dirname(file);
  return { settings: settingsOf(fromFile, { ...options, file, folder }), file, folder };
}

/**
 * Checks settings that are there already, as a config file's content or as an object in a program: defaults, then these, then
 * `FORESHARD_…` environment variables.
 *
 * @param options.file where they were read, for messages; null where a program holds them.
 * @throws ForeshardError FORESHARD_CONFIG as loadSettings.
 */
export function settingsOf(
  given: Tree,
  options: {
    readonly file: string | null;
    readonly folder: string;
    readonly environment: Readonly<Record<string, string | undefined>>;
    readonly flags?: readonly Override[];
  },
): Settings {
  const { file, folder } = options;
  const fromFile = withoutUnits(given);
  const environment = environmentOverrides(DEFAULT_SETTINGS, options.environment);
  const overrides = {
    problems: environment.problems,
    values: [...environment.values, ...(options.flags ?? [])],
  };
  const schema = configSchema(DEFAULT_SETTINGS);
  const issues = schemaIssues(schema, fromFile);
  const wrongPaths = issues.map(({ path }) => path);
  const problems = [...issues.map((issue) => describeIssue(issue, given, file)), ...overrides.problems];
  for (const override of overrides.values) {
    if (isSecret(override.path)) continue; // The schema refuses secrets, which is meant for the file.
    for (const issue of schemaIssues(schema, treeOf(override))) {
      problems.push(describeIssue(issue, asWritten(override), null, override.variable));
      wrongPaths.push(issue.path);
    }
  }

  let merged = merge(DEFAULT_SETTINGS as unknown as Tree, withoutPaths(fromFile, wrongPaths));
  for (const override of overrides.values) merged = merge(merged, withoutPaths(treeOf(override), wrongPaths));
  // Of what is wrong in itself the default stands in: what does not go together with that is not said, it may not be so.
  const isSayable = ({ path, expected }: Inconsistency): boolean =>
    !wrongPaths.some((wrong) => `${path} ${expected}`.split(/[^\w.]+/).includes(wrong.join('.')));
  const filled = merged as unknown as Settings;
  const settings = problems.length > 0 ? filled : withPaths(filled, folder);
  for (const { path, expected } of inconsistencies(settings).filter(isSayable)) {
    const issue = { path: path.split('.'), expected, knownKeys: null };
    const variable = overrides.values.findLast((override) => override.path.join('.') === path)?.variable;
    problems.push(describeIssue(issue, merged, file, variable));
  }
  if (problems.length > 0) throw configError(firstOf(problems));
  return deepFreeze(settings);
}

/** A list of which an entry is wrong goes as a whole. */
function withoutPaths(tree: Tree, paths: readonly (readonly string[])[]): Tree {
  return paths.reduce(without, tree);
}

function without(tree: Tree, [key, ...rest]: readonly string[]): Tree {
  if (key === undefined || !(key in tree)) return tree;
  const { [key]: below, ...others } = tree;
  return rest.length > 0 && isTree(below) ? { ...others, [key]: without(below, rest) } : others;
}

function findConfigFile(folder: string): string | null {
  const found = CONFIG_EXTENSIONS.map((extension) => join(folder, CONFIG_NAME + extension)).filter((path) =>
    existsSync(path),
  );
  if (found.length > 1)
    throw configError(
      `${folder}: found ${found.map((path) => relative(folder, path)).join(' and ')}: keep one, or name one with --config`,
    );
  return found[0] ?? null;
}

/** c12 parses every format; all that makes it look further (remote sources, rc files, .env, `extends`) is off. */
async function readConfigFile(file: string): Promise<Tree> {
  const extension = extname(file);
  if (!(CONFIG_EXTENSIONS as readonly string[]).includes(extension))
    throw configError(
      `${file}: a config file ends in ${CONFIG_EXTENSIONS.join(', ')}, found "${extension}": rename it`,
    );
  const stat = statSync(file, { throwIfNoEntry: false });
  if (stat === undefined)
    throw configError(`${file}: no such file: check the path after --config, or leave it out`);
  if (!stat.isFile()) throw configError(`${file}: is not a file: name the config file itself`);
  if (stat.size > CONFIG_BYTES_MAX)
    throw configError(
      `${file}: ${stat.size} bytes, a config has at most ${CONFIG_BYTES_MAX}: is it the right file?`,
    );
  // An empty file is a config that changes nothing; c12 stumbles over it.
  if (stat.size === 0) return {};

  let config: unknown;
  let meta: unknown;
  try {
    const loaded = await loadWithC12({
      cwd: dirname(file),
      configFile: file,
      rcFile: false,
      globalRc: false,
      dotenv: false,
      packageJson: false,
      extend: false,
      giget: false,
      envName: false,
      jitiOptions: { fsCache: false },
      async resolve() {
        const fresh = await readFresh(file);
        if (fresh === null) throw noSections(file, fresh);
        return fresh === undefined ? null : { config: fresh, configFile: file, cwd: dirname(file) };
      },
      // c12's own merger drops nulls and joins lists; there is one source, so nothing needs merging.
      merger: (...sources: unknown[]) =>
        sources.find((source) => source !== undefined && source !== null) ?? {},
    } as never);
    config = loaded.config;
    meta = loaded.meta;
  } catch (error) {
    if (error instanceof ForeshardError) throw error;
    if (isBlank(file)) return {};
    if (isNullConfig(error, file)) throw noSections(file, null);
    throw configError(describeParseError(error, file), error);
  }
  if (typeof config !== 'object' || config === null || Array.isArray(config)) throw noSections(file, config);
  return meta !== undefined && Object.keys(meta as object).length > 0
    ? { ...(config as Tree), $meta: meta }
    : (config as Tree);
}

/** More say no more than the first few: a file of the wrong kind is wrong in every line. */
const PROBLEMS_SHOWN = 20;

function firstOf(problems: readonly string[]): string {
  const more = problems.length - PROBLEMS_SHOWN;
  const shown = problems.slice(0, PROBLEMS_SHOWN).join('\n');
  return more > 0 ? `${shown}\nand ${more} more` : shown;
}

const noSections = (file: string, found: unknown): ForeshardError =>
  configError(
    `${file}: must hold sections with keys, found ${show(found)}: write {} for the defaults, or remove the file`,
  );

/** c12 looks into what it has read without asking whether it is null. A config that is code may do so too, in its own file. */
const isNullConfig = (error: unknown, file: string): boolean =>
  error instanceof TypeError && / of null /.test(error.message) && !error.stack?.includes(file);

const isBlank = (file: string): boolean =>
  readFileSync(file, 'utf8')
    .split('\n')
    .every((line) => /^\s*(#.*)?$/.test(line));

function withPaths(settings: Settings, folder: string): Settings {
  const under = (path: string): string => (isAbsolute(path) ? path : resolve(folder, path));
  const orNull = (path: string | null): string | null => (path === null ? null : under(path));
  const { metadata, security } = settings;
  return {
    ...settings,
    node: { ...settings.node, dataDir: under(settings.node.dataDir) },
    analyzer: { ...settings.analyzer, stateDir: under(settings.analyzer.stateDir) },
    metadata: {
      ...metadata,
      path: under(metadata.path),
      authorityFile: orNull(metadata.authorityFile),
      certificateFile: orNull(metadata.certificateFile),
      keyFile: orNull(metadata.keyFile),
      ...withPassword('metadata', metadata, under),
    },
    forecast: {
      ...settings.forecast,
      // Whether it is a path at all is checked with the other claims.
      calendar:
        typeof settings.forecast.calendar === 'string' && settings.forecast.calendar !== ''
          ? under(settings.forecast.calendar)
          : settings.forecast.calendar,
    },
    webhooks: { ...settings.webhooks, secretFile: orNull(settings.webhooks.secretFile) },
    redis: { ...settings.redis, ...withPassword('redis', settings.redis, under) },
    security: {
      ...security,
      ...withPassword('security', security, under),
      usersFile: orNull(security.usersFile),
      serverCertificateFile: orNull(security.serverCertificateFile),
      serverKeyFile: orNull(security.serverKeyFile),
      clientAuthorityFile: orNull(security.clientAuthorityFile),
      peerAuthorityFile: orNull(security.peerAuthorityFile),
      peerCertificateFile: orNull(security.peerCertificateFile),
      peerKeyFile: orNull(security.peerKeyFile),
    },
    plugin: {
      ...settings.plugin,
      modules: settings.plugin.modules.map((module) => (module.startsWith('.') ? under(module) : module)),
    },
  };
}

interface Secret {
  readonly password: string | null;
  readonly passwordFile: string | null;
}

function withPassword(
  section: string,
  { password, passwordFile }: Secret,
  under: (path: string) => string,
): Secret {
  if (passwordFile === null) return { password, passwordFile };
  const file = under(passwordFile);
  return { password: readPassword(`${section}.passwordFile`, file), passwordFile: file };
}

function readPassword(setting: string, file: string): string {
  const password = readPrivateFile(setting, file).toString('utf8').split(/\r?\n/, 1)[0] as string;
  if (password === '')
    throw configError(`${setting}: ${file} is empty: write the password on its first line`);
  return password;
}

/** The settings as they may be shown: a secret says only that it is set. */
export function showableSettings(settings: Settings): unknown {
  const hidden = <T extends Secret>(section: T): T => ({
    ...section,
    password: section.password === null ? null : '(set, not shown)',
  });
  return {
    ...settings,
    security: hidden(settings.security),
    metadata: hidden(settings.metadata),
    redis: hidden(settings.redis),
  };
}

const isTree = (value: unknown): value is Tree =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** `over` on top of `base`; lists are replaced, not joined. Only called with keys the schema knows. */
function merge(base: Tree, over: Tree): Tree {
  const merged: Tree = { ...base };
  for (const [key, value] of Object.entries(over)) {
    if (value === undefined) continue;
    const below = merged[key];
    merged[key] = isTree(below) && isTree(value) ? merge(below, value) : value;
  }
  return merged;
}

const treeOf = (override: Override): Tree => withoutUnits(asWritten(override));

const asWritten = ({ path, value }: Override): Tree =>
  path.reduceRight<unknown>((below, key) => ({ [key]: below }), value) as Tree;

function configError(message: string, cause?: unknown): ForeshardError {
  return new ForeshardError('FORESHARD_CONFIG', 'fix-config', message, { cause });
}
