/** Reads the text of INFO and CLIENT LIST. */

export type InfoFields = ReadonlyMap<string, string>;

export function parseInfo(text: string): InfoFields {
  const fields = new Map<string, string>();
  for (const line of text.split('\n')) {
    const at = line.indexOf(':');
    if (at > 0 && !line.startsWith('#')) fields.set(line.slice(0, at), line.slice(at + 1).trim());
  }
  return fields;
}

const numberIn = (fields: InfoFields, name: string): number => Number(fields.get(name) ?? 0) || 0;

/** Totals since the server started, and what it holds now. */
export interface NodeCounters {
  /** Tells a restart, after which totals begin again. */
  readonly runId: string;
  readonly cpuSeconds: number;
  /** By INFO all that it ran; by ClusterView what applications sent. */
  readonly commands: number;
  readonly inputBytes: number;
  readonly outputBytes: number;
  readonly memoryUsed: number;
  /** 0: no limit. */
  readonly memoryMax: number;
  readonly keyCount: number;
  readonly isValkey: boolean;
  readonly majorVersion: number;
  readonly replicaCount: number;
  /** Keeps doubts of what other masters claim (claim-views.ts). */
  readonly isDoubter: boolean;
}

export function countersOf(fields: InfoFields): NodeCounters {
  const isValkey = fields.has('valkey_version');
  const version = fields.get(isValkey ? 'valkey_version' : 'redis_version') ?? '0';
  return {
    runId: fields.get('run_id') ?? '',
    cpuSeconds: numberIn(fields, 'used_cpu_user') + numberIn(fields, 'used_cpu_sys'),
    commands: numberIn(fields, 'total_commands_processed'),
    inputBytes: numberIn(fields, 'total_net_input_bytes'),
    outputBytes: numberIn(fields, 'total_net_output_bytes'),
    memoryUsed: numberIn(fields, 'used_memory'),
    memoryMax: numberIn(fields, 'maxmemory'),
    keyCount: Number(/^keys=(\d+)/.exec(fields.get('db0') ?? '')?.[1] ?? 0),
    isValkey,
    majorVersion: Number(version.split('.', 1)[0]),
    replicaCount: numberIn(fields, 'connected_slaves'),
    isDoubter: isDoubter(fields),
  };
}

/**
 * Whether a node that doubts a claim of another master keeps that doubt for good: found on Redis 7.0.12 to 7.0.15, and ended in a release of
 * 7.2 at the latest.
 */
export function isDoubter(fields: InfoFields): boolean {
  if (fields.has('valkey_version')) return false;
  const [major, minor = 0, patch = 0] = (fields.get('redis_version') ?? '').split('.').map(Number);
  return major === 7 && ((minor === 0 && patch >= 12) || minor === 2);
}

/** A second, between two looks. */
export interface NodeRates {
  readonly cpuSeconds: number;
  readonly commands: number;
  readonly inputBytes: number;
  readonly outputBytes: number;
}

/** @returns null when the server was restarted in between. */
export function ratesBetween(before: NodeCounters, after: NodeCounters, elapsedMs: number): NodeRates | null {
  if (before.runId !== after.runId || elapsedMs <= 0) return null;
  const rate = (key: keyof NodeRates): number => Math.max(0, ((after[key] - before[key]) * 1000) / elapsedMs);
  return {
    cpuSeconds: rate('cpuSeconds'),
    commands: rate('commands'),
    inputBytes: rate('inputBytes'),
    outputBytes: rate('outputBytes'),
  };
}

/** Connections in READONLY mode, by which clients read from a replica. */
export const countReadOnlyClients = (clientList: string): number =>
  clientList.split('\n').filter((line) => /\bflags=[A-Za-z]*r/.test(line)).length;
