import type { Settings } from '../../../src/settings.ts';

/** One setting given by an environment variable, or by a flag. */
export interface Override {
  /** Where it came from, for errors. */
  readonly variable: string;
  readonly path: readonly string[];
  readonly value: unknown;
}

/**
 * Environment variables that set a setting: `FORESHARD_` and the path in capitals, so that `cluster.partitionCount` is
 * `FORESHARD_CLUSTER_PARTITION_COUNT`. A variable that begins like a section but names no setting is a problem;
 * others that begin with `FORESHARD_` are not for the config.
 */
export function environmentOverrides(
  defaults: Settings,
  environment: Readonly<Record<string, string | undefined>>,
): { readonly values: readonly Override[]; readonly problems: readonly string[] } {
  const known = new Map<string, { path: readonly string[]; standard: unknown }>();
  collectLeaves(defaults as unknown as Record<string, unknown>, [], known);
  const sections = Object.keys(defaults).map((section) => `${variableOf([section])}_`);
  const values: Override[] = [];
  const problems: string[] = [];
  for (const variable of Object.keys(environment).sort()) {
    const text = environment[variable];
    if (text === undefined || !sections.some((section) => variable.startsWith(section))) continue;
    const leaf = known.get(variable);
    if (leaf === undefined) {
      problems.push(
        `${variable}: no setting has this name: unset it (see \`foreshard config show\` for the names)`,
      );
      continue;
    }
    values.push({
      variable,
      path: leaf.path,
      value: isText(leaf.path) ? text : parse(text, leaf.standard),
    });
  }
  return { values, problems };
}

/** A password, a user or a zone of digits stays a string. */
const isText = (path: readonly string[]): boolean =>
  path[0] === 'security' ||
  (path[0] === 'metadata' && /^(user|password)/.test(path[1] ?? '')) ||
  (path[0] === 'node' && path[1] === 'zone');

export const variableOf = (path: readonly string[]): string =>
  `FORESHARD_${path.map((key) => key.replace(/([a-z0-9])([A-Z])/g, '$1_$2').toUpperCase()).join('_')}`;

function collectLeaves(
  tree: Record<string, unknown>,
  path: readonly string[],
  leaves: Map<string, { path: readonly string[]; standard: unknown }>,
): void {
  for (const [key, value] of Object.entries(tree)) {
    const here = [...path, key];
    if (typeof value === 'object' && value !== null && !Array.isArray(value))
      collectLeaves(value as Record<string, unknown>, here, leaves);
    else leaves.set(variableOf(here), { path: here, standard: value });
  }
}

/** Read as the type that the default has; what cannot be read stays a string, and the schema says what is wrong with it. */
function parse(text: string, standard: unknown): unknown {
  if (text === 'null') return null;
  if (typeof standard === 'number' || standard === null)
    return /^-?\d+(\.\d+)?(e[+-]?\d+)?$/i.test(text) ? Number(text) : text;
  if (typeof standard === 'boolean') return text === 'true' ? true : text === 'false' ? false : text;
  if (Array.isArray(standard)) {
    const entries = text.split(',').map((entry) => entry.trim());
    return typeof standard[0] === 'number' ? entries.map((entry) => parse(entry, 0)) : entries;
  }
  return text;
}
