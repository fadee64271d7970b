import { z } from 'zod';
import type { Range } from '../../../src/base/claims.ts';
import { PLUGIN_MODES } from '../../../src/controller.ts';
import { SLOT_COUNT } from '../../../src/model/partition-map.ts';
import { KEY_PREFIX_BYTES } from '../../../src/model/query-log.ts';
import { REDIS_DEFAULTS } from '../../../src/redis-settings.ts';
import { SETTING_RANGES } from '../../../src/setting-ranges.ts';
import { ETCD_ENDPOINT, REDIS_ADDRESS } from './addresses.ts';
import { UNIT_EXAMPLES, unitOf, withUnitsAllowed } from './units.ts';

/**
 * The config file's schema. Every field may be left out (its default is in `src/settings.ts`); keys it does not know are
 * refused, since a setting that is misspelt and ignored is worse than one that is refused. The description of a leaf
 * completes the sentence "it must be …" of an error message.
 */
const integer = (min: number, max: number, what: string) =>
  z.number().int().min(min).max(max).describe(`an integer from ${min} to ${max}: ${what}`);
const choice = <const T extends readonly [string, ...string[]]>(values: T) =>
  z.enum(values).describe(`one of ${values.map((value) => `"${value}"`).join(', ')}`);
const folder = (what: string) => z.string().min(1).describe(`a path: ${what}`);
const listen = () =>
  z
    .string()
    .regex(/^(\[[0-9a-fA-F:.]+\]|[^\s:]+):\d{1,5}$/)
    .refine((address) => Number(address.slice(address.lastIndexOf(':') + 1)) <= 65_535)
    .describe('an address "host:port", such as "127.0.0.1:6379", or "[::1]:6379"');

// Bounds are generous: they refuse what is surely a slip of the unit (seconds for milliseconds), not what is unusual.
const DAY_MS = 86_400_000;
/** Node ids travel as 16 bits. */
const NODE_ID_MAX = 65_535;
const PIB = 2 ** 50;

const capacity = (what: string) =>
  z
    .number()
    .positive()
    .nullable()
    .describe(`a number above 0, or null for no limit: ${what} per second and node`);
const capacities = () =>
  z
    .strictObject({
      queries: capacity('queries'),
      cpuSeconds: capacity('CPU seconds'),
      readBytes: capacity('bytes read'),
      writeBytes: capacity('bytes written'),
    })
    .partial();

/** What numbers may be, by path; where a path is not named, any number. */
type Ranges = ReadonlyMap<string, Range>;
const NO_RANGES: Ranges = new Map();

const ownSections = {
  cluster: z
    .strictObject({
      name: z
        .string()
        .regex(/^[A-Za-z0-9_.-]{1,64}$/)
        .describe('1 to 64 letters, digits, "_", "." or "-"'),
      partitionCount: integer(16, SLOT_COUNT, 'a power of two'),
      storageNodeCount: integer(1, 1024, 'how many storage nodes there are'),
      nodeCapacity: capacities(),
    })
    .partial(),
  node: z
    .strictObject({
      role: choice(['storage', 'query']).nullable(),
      id: integer(0, NODE_ID_MAX, 'storage nodes 0, 1, …, query nodes 10000, 10001, …').nullable(),
      clientListen: listen(),
      peerListen: listen(),
      advertiseHost: z
        .string()
        .regex(/^[0-9A-Za-z][0-9A-Za-z.:-]{0,254}$|^[0-9A-Fa-f:]+$/)
        .nullable()
        .describe('a host name or an address without a port, such as "db-3.example" or "10.0.0.3"'),
      advertisePort: integer(1, 65_535, 'the port by which others reach this node').nullable(),
      zone: z
        .string()
        .regex(/^\S{1,64}$/)
        .nullable()
        .describe('a name of 1 to 64 characters without blanks, such as "rack-2"'),
      healthListen: z
        .string()
        .regex(/^unix:\/.{1,100}$|^(\[[0-9a-fA-F:.]+\]|[^\s:]+):\d{1,5}$/)
        .nullable()
        .describe('a loopback address such as "127.0.0.1:7401", or "unix:/run/foreshard/health.sock"'),
      capacity: capacities(),
      dataDir: folder('the folder of a storage node’s data'),
      mapSizeBytes: integer(1 << 24, PIB, 'bytes of address space for one LMDB environment'),
      dataBytesMax: integer(1 << 20, PIB, 'bytes'),
      freeBytesReserve: integer(0, PIB, 'bytes'),
      // A value travels in one data frame of at most 16 MiB.
      valueBytesMax: integer(1, 15 * 2 ** 20, 'bytes'),
      clientConnectionsMax: integer(1, 1_000_000, 'connections'),
      logLevel: choice(['debug', 'info', 'warn', 'error']),
    })
    .partial(),
  security: z
    .strictObject({
      password: z
        .null()
        .describe('left out of the config file: use security.passwordFile or FORESHARD_SECURITY_PASSWORD'),
      passwordFile: folder('a file with mode 0600 whose first line is the password').nullable(),
      usersFile: folder('a file with mode 0600 of users, rights and hashes of tokens').nullable(),
      serverCertificateFile: folder('a PEM file with the certificate shown to clients').nullable(),
      serverKeyFile: folder(
        'a PEM file with mode 0600 with the key of security.serverCertificateFile',
      ).nullable(),
      clientAuthorityFile: folder(
        'a PEM file with the certificate of the authority of the clients',
      ).nullable(),
      peerAuthorityFile: folder('a PEM file with the certificate of the authority of the nodes').nullable(),
      peerCertificateFile: folder('a PEM file with this node’s certificate').nullable(),
      peerKeyFile: folder(
        'a PEM file with mode 0600 with the key of security.peerCertificateFile',
      ).nullable(),
    })
    .partial(),
  plugin: z
    .strictObject({
      mode: choice(PLUGIN_MODES),
      modules: z
        .array(z.string().min(1))
        .describe('a list of plugin modules: "foreshard", or paths starting with "./" or "/"'),
    })
    .partial(),
  capture: z
    .strictObject({
      ringSlots: integer(256, 2 ** 22, 'a power of two'),
      keyPrefixBytes: integer(0, KEY_PREFIX_BYTES, 'bytes of a key that are kept'),
      keyHash: z.boolean().describe('true or false'),
      drainIntervalMs: integer(1, 60_000, 'milliseconds'),
    })
    .partial(),
  analyzer: z
    .strictObject({
      windowMs: integer(1000, 7 * DAY_MS, 'milliseconds, a divisor of one week'),
      stateDir: folder('the folder of what the analysis knows'),
      kernelThreads: integer(1, 64, 'worker threads'),
      kernelNiceness: integer(0, 19, 'steps of niceness'),
    })
    .partial(),
  controller: z
    .strictObject({
      cycleIntervalMs: integer(100, 7 * DAY_MS, 'milliseconds'),
      reliefAfterMs: integer(0, DAY_MS, 'milliseconds'),
      reliefIntervalMs: integer(1000, 7 * DAY_MS, 'milliseconds'),
      executorIntervalMs: integer(1, 60_000, 'milliseconds'),
      leaseTtlMs: integer(500, 600_000, 'milliseconds'),
      skillMin: z.number().min(-1000).max(1).describe('a number from -1000 to 1'),
      seed: z
        .string()
        .regex(/^(\d+|0x[0-9a-fA-F]+)$/)
        .describe('a number in quotes, decimal or 0x…'),
      plansKept: integer(0, 10_000, 'plans'),
      plansKeptBytesMax: integer(0, 2 ** 40, 'bytes'),
    })
    .partial(),
  metadata: z
    .strictObject({
      kind: choice(['embedded', 'etcd']),
      path: folder('the folder of the embedded metadata store'),
      endpoints: z
        .array(z.string().regex(ETCD_ENDPOINT))
        .min(1)
        .describe('a list of endpoints of etcd: "http://HOST:PORT" or "https://HOST:PORT"'),
      authorityFile: folder('a PEM file with the certificate of etcd’s authority').nullable(),
      certificateFile: folder('a PEM file with the certificate shown to etcd').nullable(),
      keyFile: folder('a PEM file with the key of metadata.certificateFile').nullable(),
      user: z.string().min(1).nullable().describe('the name of a user of etcd'),
      password: z
        .null()
        .describe('left out of the config file: use metadata.passwordFile or FORESHARD_METADATA_PASSWORD'),
      passwordFile: folder('a file with mode 0600 whose first line is the password').nullable(),
    })
    .partial(),
  redis: z
    .strictObject({
      nodes: z
        .array(z.string().regex(REDIS_ADDRESS))
        .describe('a list of addresses of Redis Cluster nodes: "HOST:PORT"'),
      username: z.string().min(1).nullable().describe('the name of a user of Redis'),
      password: z
        .null()
        .describe('left out of the config file: use redis.passwordFile or FORESHARD_REDIS_PASSWORD'),
      passwordFile: folder('a file with mode 0600 whose first line is the password').nullable(),
      isTls: z.boolean().describe('true or false'),
      commandTimeoutMs: integer(100, DAY_MS, 'milliseconds'),
      replicaReads: choice(['refuse', 'warn']),
      lookIntervalMs: integer(1_000, DAY_MS, 'milliseconds'),
      slotStats: choice(['auto', 'off']),
      niceness: integer(0, 19, 'steps of niceness'),
      slotMove: likeDefaults(REDIS_DEFAULTS.slotMove),
    })
    .partial(),
  webhooks: z
    .strictObject({
      url: z.string().min(1).nullable().describe('a URL, "https://…", or "http://" on the loopback'),
      secretFile: folder('a file with mode 0600 whose first line is the secret').nullable(),
      timeoutMs: integer(100, 60_000, 'milliseconds'),
      attemptsMax: integer(1, 20, 'attempts'),
    })
    .partial(),
};

/**
 * A schema of the same shape as a section's defaults, for the sections whose meaning another room of the core owns and
 * checks: types and key names here, ranges there, which names what it expects in words of its own.
 */
function likeDefaults(value: unknown, path = '', ranges = NO_RANGES): z.ZodType {
  if (typeof value === 'number') return numberIn(ranges.get(path));
  if (typeof value === 'boolean') return z.boolean().describe('true or false');
  if (typeof value === 'string') return z.string().describe('a string');
  if (Array.isArray(value)) {
    const kinds = new Set(value.map((entry) => typeof entry));
    return kinds.size === 1 && kinds.has('number')
      ? z.array(z.number()).describe('a list of numbers')
      : z.array(z.unknown()).describe('a list');
  }
  if (typeof value === 'object' && value !== null)
    return z
      .strictObject(
        Object.fromEntries(
          Object.entries(value).map(([key, entry]) => [key, likeDefaults(entry, `${path}.${key}`, ranges)]),
        ),
      )
      .partial();
  return z.unknown();
}

function numberIn(range: Range | undefined): z.ZodType {
  if (range === undefined) return z.number().describe('a number');
  const { min, max, isInteger } = range;
  const number = isInteger ? z.number().int() : z.number();
  return number
    .min(min)
    .max(max)
    .describe(`${isInteger ? 'an integer' : 'a number'} from ${min} to ${max}`);
}

/** The whole schema: own sections by hand, the rest of `defaults` by its shape. */
export function configSchema(defaults: object, ranges = NO_RANGES): z.ZodObject {
  const others = Object.entries(defaults).filter(([section]) => !(section in ownSections));
  return z
    .strictObject({
      ...ownSections,
      ...Object.fromEntries(
        others.map(([section, value]) => [section, likeDefaults(value, section, ranges)]),
      ),
    })
    .partial();
}

/** JSON Schema of the config file, for completion and checking in an editor. */
export const configJsonSchema = (defaults: object): unknown =>
  withUnitsAllowed(z.toJSONSchema(configSchema(defaults, SETTING_RANGES), { unrepresentable: 'any' }));

export interface SchemaIssue {
  readonly path: readonly string[];
  /** Completes "it must be …"; empty for an unknown key. */
  readonly expected: string;
  /** Set for an unknown key: the keys that are known at that place. */
  readonly knownKeys: readonly string[] | null;
}

/** Checks a raw config tree. Returns nothing wrong, or every issue in the order of the schema. */
export function schemaIssues(schema: z.ZodObject, raw: unknown): readonly SchemaIssue[] {
  const result = schema.safeParse(raw);
  if (result.success) return [];
  const issues: SchemaIssue[] = [];
  for (const issue of result.error.issues) {
    const path = issue.path.map(String);
    if (issue.code === 'unrecognized_keys') {
      const shape = (schemaAt(schema, path) as z.ZodObject | undefined)?.shape ?? {};
      for (const key of issue.keys)
        issues.push({ path: [...path, key], expected: '', knownKeys: Object.keys(shape) });
    } else if (!issues.some((known) => known.path.join('.') === path.join('.'))) {
      const unit = unitOf(path.at(-1) ?? '');
      const expected = expectedAt(schema, path);
      issues.push({
        path,
        expected: unit === null ? expected : `${expected}, ${UNIT_EXAMPLES[unit]}`,
        knownKeys: null,
      });
    }
  }
  return issues;
}

function expectedAt(schema: z.ZodObject, path: readonly string[]): string {
  // An issue inside a list is described by the list.
  for (let depth = path.length; depth >= 0; depth--) {
    const description = schemaAt(schema, path.slice(0, depth))?.description;
    if (description !== undefined) return description;
  }
  return 'a section: keys with values';
}

function schemaAt(schema: z.ZodType, path: readonly string[]): z.ZodType | undefined {
  let at: z.ZodType | undefined = schema;
  for (const key of path) {
    at = unwrap(at);
    at = at instanceof z.ZodObject ? (at.shape[key] as z.ZodType | undefined) : undefined;
  }
  return unwrap(at);
}

/** Partial sections wrap their fields as optional; the description sits inside. */
function unwrap(schema: z.ZodType | undefined): z.ZodType | undefined {
  let at = schema;
  while (at instanceof z.ZodOptional || at instanceof z.ZodNullable) {
    if (at.description !== undefined && !(at.unwrap() instanceof z.ZodObject)) return at;
    at = at.unwrap() as z.ZodType;
  }
  return at;
}
