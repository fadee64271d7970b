/**
 * Durations and sizes as people write them, `15m` and `64MiB`, where a setting's name says that it is one. They are numbers before
 * anything else looks at them.
 */
import type { Tree } from './config-messages.ts';

export type Unit = 'duration' | 'size';

const UNIT_MS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
};
/** 64M would be one to some and another to others: it is refused. */
const UNIT_BYTES: Readonly<Record<string, number>> = {
  B: 1,
  kB: 1e3,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
  TiB: 2 ** 40,
};

/** As in a JSON Schema. */
export const UNIT_PATTERNS: Readonly<Record<Unit, string>> = {
  duration: '^([0-9]{1,12}(\\.[0-9]{1,6})?(ms|s|m|h|d|w))+$',
  size: '^[0-9]{1,12}(\\.[0-9]{1,6})?(B|kB|MB|GB|TB|KiB|MiB|GiB|TiB)(/s)?$',
};

/** What may be written beside the plain number; completes "it must be …". */
export const UNIT_EXAMPLES: Readonly<Record<Unit, string>> = {
  duration: 'or a duration such as "15m", "1h30m" or "250ms"',
  size: 'or a size such as "64MiB" or "2GB"',
};

/** By its name, as our names have their unit last, and after it only which bound it is. */
export function unitOf(setting: string): Unit | null {
  if (/Ms(Min|Max)?$/.test(setting)) return 'duration';
  return /Bytes(PerSecond)?(Min|Max|Reserve)?$/.test(setting) ? 'size' : null;
}

/** @returns milliseconds; null for a text that is no duration. */
export function durationMs(text: string): number | null {
  if (!new RegExp(UNIT_PATTERNS.duration).test(text)) return null;
  let ms = 0;
  for (const [, amount, unit] of text.matchAll(/([\d.]+)(ms|s|m|h|d|w)/g))
    ms += Number(amount) * (UNIT_MS[unit as string] as number);
  return rounded(ms);
}

/** @returns bytes; null for a text that is no size. */
export function sizeBytes(text: string): number | null {
  if (!new RegExp(UNIT_PATTERNS.size).test(text)) return null;
  const [, amount, unit] = /^([\d.]+)([A-Za-z]+)/.exec(text) as RegExpExecArray;
  return rounded(Number(amount) * (UNIT_BYTES[unit as string] as number));
}

/** 0.3 s is 300 ms, whatever 0.3 x 1000 is in binary. */
const rounded = (value: number): number =>
  Math.abs(value - Math.round(value)) < 1e-6 ? Math.round(value) : value;

/** No setting lies deeper; what does is left to the schema. */
const DEPTH_MAX = 8;

/**
 * A tree of settings with numbers where durations and sizes were written; what is neither stays, for the schema to refuse.
 * A branch that YAML's aliases make appear in several places, in itself even, is looked at once.
 */
export function withoutUnits(tree: Tree, depth = 0, done = new Map<unknown, Tree>()): Tree {
  const before = done.get(tree);
  if (before !== undefined || depth > DEPTH_MAX) return before ?? tree;
  const plain: Tree = {};
  done.set(tree, plain);
  for (const [setting, found] of Object.entries(tree)) {
    let value = found;
    if (typeof found === 'string') value = numberOf(setting, found) ?? found;
    else if (typeof found === 'object' && found !== null && !Array.isArray(found))
      value = withoutUnits(found as Tree, depth + 1, done);
    // A setting called __proto__ is one like any other, and unknown.
    Object.defineProperty(plain, setting, { value, enumerable: true, configurable: true, writable: true });
  }
  return plain;
}

function numberOf(setting: string, text: string): number | null {
  const unit = unitOf(setting);
  if (unit === null) return null;
  return unit === 'duration' ? durationMs(text) : sizeBytes(text);
}

/** A JSON Schema of the settings in which durations and sizes may be written as such. */
export function withUnitsAllowed(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(withUnitsAllowed);
  if (typeof schema !== 'object' || schema === null) return schema;
  return Object.fromEntries(
    Object.entries(schema).map(([keyword, value]) => [
      keyword,
      keyword === 'properties' ? propertiesWithUnits(value as Tree) : withUnitsAllowed(value),
    ]),
  );
}

function propertiesWithUnits(properties: Tree): Tree {
  return Object.fromEntries(
    Object.entries(properties).map(([setting, schema]) => {
      const unit = unitOf(setting);
      if (unit === null) return [setting, withUnitsAllowed(schema)];
      const { description, ...plain } = schema as Tree;
      const text = { type: 'string', pattern: UNIT_PATTERNS[unit] };
      return [setting, { description: `${description}, ${UNIT_EXAMPLES[unit]}`, anyOf: [plain, text] }];
    }),
  );
}
