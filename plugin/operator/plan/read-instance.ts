import { readFile } from 'node:fs/promises';
import type { z } from 'zod';
import { ForeshardError } from '../../../src/base/errors.ts';
import { sizeOf } from '../../logs/byte-source.ts';
import { type PlanInstanceFile, planInstanceSchema } from './instance-schema.ts';

/** A mistake in the file, whatever part of it: the same command would be refused again. */
export function mistakeIn(file: string, what: string): ForeshardError {
  // A name in the file may be as long as the file.
  const told = what.length > MESSAGE_CHARACTERS_MAX ? `${what.slice(0, MESSAGE_CHARACTERS_MAX)}...` : what;
  return new ForeshardError(
    'FORESHARD_CONFIG',
    'fix-config',
    `${file === '-' ? 'standard input' : file}: ${told}`,
  );
}

const MESSAGE_CHARACTERS_MAX = 4_000;
/** More say no more than the first few. */
const ISSUES_SHOWN = 20;

/** @throws ForeshardError FORESHARD_CONFIG for a file that cannot be read, is no JSON or is not as the schema says, naming places. */
export async function readPlanInstance(file: string): Promise<PlanInstanceFile> {
  const text = await readText(file);
  let raw: unknown;
  try {
    raw = JSON.parse(text);
    // JavaScript's name for what an object inherits: as a key it is lost on the way, and a resource with it.
    if (text.includes('"__proto__"'))
      JSON.parse(text, (key, value) => {
        if (key === '__proto__')
          throw mistakeIn(file, '"__proto__" cannot be the name of a resource or field');
        return value;
      });
  } catch (error) {
    if (error instanceof ForeshardError) throw error;
    throw mistakeIn(file, `is not JSON: ${(error as Error).message}`);
  }
  const result = planInstanceSchema.safeParse(raw);
  if (result.success) return result.data;
  const issues = result.error.issues.map((issue) => told(raw, issue));
  const more = issues.length > ISSUES_SHOWN ? `; and ${issues.length - ISSUES_SHOWN} more` : '';
  throw mistakeIn(file, issues.slice(0, ISSUES_SHOWN).join('; ') + more);
}

async function readText(file: string): Promise<string> {
  if (file !== '-') {
    sizeOf(file);
    return readFile(file, 'utf8').catch((error: Error) => {
      throw mistakeIn(file, `cannot be read: ${error.message}`);
    });
  }
  let text = '';
  process.stdin.setEncoding('utf8');
  for await (const chunk of process.stdin) text += chunk;
  return text;
}

/** Such as `nodes[0].capacity.cpu is 0, and must be a number above 0: what the node can carry`. */
function told(raw: unknown, issue: z.core.$ZodIssue): string {
  const place = placeOf(issue.path);
  if (issue.code === 'unrecognized_keys')
    return `${place === '' ? '' : `${place}: `}unknown ${issue.keys.map((key) => `"${key}"`).join(', ')}`;
  const value = issue.path.reduce<unknown>(
    (at, key) => (at as Readonly<Record<PropertyKey, unknown>> | null | undefined)?.[key],
    raw,
  );
  const shown = value === undefined ? 'is missing' : `is ${shortened(JSON.stringify(value))}`;
  return `${place || 'the file'} ${shown}, and must be ${expectedAt(issue.path)}`;
}

const placeOf = (path: readonly PropertyKey[]): string =>
  path
    .map((key) => (typeof key === 'number' ? `[${key}]` : `.${String(key)}`))
    .join('')
    .replace(/^\./, '');

const shortened = (text: string): string => (text.length <= 40 ? text : `${text.slice(0, 37)}...`);

/** The description nearest to the place, from the schema's own JSON: lists and records have their entries' below them. */
function expectedAt(path: readonly PropertyKey[]): string {
  let at: z.core.$ZodType | undefined = planInstanceSchema;
  let expected = 'an object of nodes, partitions and slotSeconds: see docs/plan.md';
  for (const key of path) {
    at = inside(at, key);
    const description = descriptionOf(at);
    if (description !== undefined) expected = description;
  }
  return expected;
}

/** Optional ones wrap what describes itself. */
function unwrapped(schema: z.core.$ZodType | undefined): z.core.$ZodType | undefined {
  const definition = schema?._zod.def as { readonly type?: string; readonly innerType?: z.core.$ZodType };
  return definition?.type === 'optional' ? unwrapped(definition.innerType) : schema;
}

function inside(schema: z.core.$ZodType | undefined, key: PropertyKey): z.core.$ZodType | undefined {
  const definition = unwrapped(schema)?._zod.def as
    | {
        readonly type: string;
        readonly shape?: Readonly<Record<PropertyKey, z.core.$ZodType>>;
        readonly element?: z.core.$ZodType;
        readonly valueType?: z.core.$ZodType;
      }
    | undefined;
  return definition?.shape?.[key] ?? definition?.element ?? definition?.valueType;
}

const descriptionOf = (schema: z.core.$ZodType | undefined): string | undefined =>
  (unwrapped(schema) as z.ZodType | undefined)?.description;
