/** The reference of all settings: types and limits by the schema, meanings by the tables of the pages. */
import { configJsonSchema } from '../plugin/host/config/config-schema.ts';
import { DEFAULT_SETTINGS } from '../src/settings.ts';

interface Schema {
  readonly type?: string | readonly string[];
  readonly enum?: readonly unknown[];
  readonly anyOf?: readonly Schema[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly description?: string;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly pattern?: string;
}

/** @param docs name and Markdown of the pages whose tables explain settings. */
export function settingsPage(docs: ReadonlyMap<string, string>): string {
  const explained = new Map(
    [...docs].flatMap(([page, markdown]) =>
      [...markdown.matchAll(/^\| `([a-z]+(?:\.[a-zA-Z]+)+)` \| `[^`]+` \|(.*)\|$/gm)].map(
        ([, name = '', rest = '']) =>
          [name, { page, meaning: rest.split(/(?<!\\)\|/).map((part) => part.trim()) }] as const,
      ),
    ),
  );
  const schema = configJsonSchema(DEFAULT_SETTINGS) as Schema;
  const lines = [
    '# Settings',
    '',
    'Each setting with its type, its default and the environment variable that overrides the config file. Made from the schema by which a config file is',
    'checked; `foreshard config schema` prints that for editors, `foreshard config show` what is in effect. How files are found and errors are told: [config file](host.md#config-file).',
    '',
  ];
  for (const [section, own] of Object.entries(schema.properties ?? {})) {
    if (own.properties === undefined) continue;
    lines.push(`## ${section}`, '', '| setting | type | default | meaning |', '|---|---|---|---|');
    for (const { path, leaf } of leavesOf(own, section)) {
      const found = explained.get(path);
      const meaning =
        found === undefined
          ? (leaf.description ?? '')
          : withPage(found.meaning.filter((part) => part !== '').join('; '), found.page);
      lines.push(
        `| \`${path}\`<br>\`${variableOf(path)}\` | ${typeOf(leaf)} | \`${defaultOf(path)}\` | ${meaning} |`,
      );
    }
    lines.push('');
  }
  return lines.join('\n').replaceAll('<br>', ' ');
}

function leavesOf(schema: Schema, prefix: string): { readonly path: string; readonly leaf: Schema }[] {
  return Object.entries(schema.properties ?? {}).flatMap(([name, child]) => {
    const path = `${prefix}.${name}`;
    return child.properties === undefined ? [{ path, leaf: child }] : leavesOf(child, path);
  });
}

/** Links inside a page lead from there. */
const withPage = (meaning: string, page: string): string => meaning.replaceAll('](#', `](${page}#`);

export const variableOf = (path: string): string =>
  `FORESHARD_${path
    .replaceAll('.', '_')
    .replace(/([a-z0-9])([A-Z])/g, '$1_$2')
    .toUpperCase()}`;

function typeOf(schema: Schema): string {
  if (schema.enum !== undefined) return schema.enum.map((value) => `\`${JSON.stringify(value)}\``).join(', ');
  if (schema.anyOf !== undefined) return [...new Set(schema.anyOf.map(typeOf))].join(' or ');
  const type = [schema.type ?? 'any'].flat().join(' or ');
  const limits = [
    ...(schema.minimum === undefined ? [] : [`from ${schema.minimum}`]),
    ...(schema.maximum === undefined || schema.maximum >= Number.MAX_SAFE_INTEGER
      ? []
      : [`to ${schema.maximum}`]),
  ];
  return [type, ...limits].join(' ');
}

function defaultOf(path: string): string {
  let value: unknown = DEFAULT_SETTINGS;
  for (const name of path.split('.')) value = (value as Record<string, unknown>)[name];
  return JSON.stringify(value).replaceAll('|', '\\|');
}
