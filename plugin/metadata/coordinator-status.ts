import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import type { MetadataEntry, MetadataStore } from '../../src/ports/metadata-store.ts';
import { clusterKeys } from './cluster-keys.ts';
import { decodeJson, encodeJson, orNothing } from './json-values.ts';

const heartbeat = z.object({
  candidate: z.string().max(128),
  ttlMs: z.number().positive(),
  /** Wall clock of the leader's machine. Not in heartbeats of before it was written. */
  atMs: z.number().exactOptional(),
});
const lastCoordinator = z.object({
  candidate: z.string().max(128),
  electedAtMs: z.number(),
  /** By its own will. */
  leftAtMs: z.number().exactOptional(),
  /** `plugin.mode` of its config; not in records of before it was written. */
  mode: z.string().max(16).exactOptional(),
});
/** `coord/last`: the office's own record goes with its holder; this says who that was. */
export type LastCoordinator = z.output<typeof lastCoordinator>;

export const encodeLastCoordinator = (value: LastCoordinator): Uint8Array => encodeJson(value);

/** @returns undefined where nobody was, or another version wrote. */
export const decodeLastCoordinator = (entry: MetadataEntry | undefined): LastCoordinator | undefined =>
  entry && orNothing(() => decodeJson(lastCoordinator, entry.key, entry.value))[0];

export interface CoordinatorStatus {
  /** `silent`: its heartbeats have stopped for longer than a candidate would have let pass. */
  readonly state: 'leading' | 'silent' | 'none';
  /** Who holds the office, or held it last; null where nobody ever did. */
  readonly candidate: string | null;
  readonly electedAtMs: number | null;
  readonly heartbeatAtMs: number | null;
  readonly leftAtMs: number | null;
  readonly ttlMs: number | null;
}

interface Seen {
  readonly status: CoordinatorStatus;
  readonly revision: number;
}

/** A candidate takes the office over one time to live after the last heartbeat; the rest is for clocks that differ. */
const SILENT_AFTER_TTLS = 1.5;
/** Candidates look twenty times a second, so an office that is free for so long has none. */
const NOBODY_AFTER_MS = 1_000;
const LOOK_MS = 50;

export async function readCoordinator(
  metadata: MetadataStore,
  clusterName: string,
  nowMs: number,
): Promise<CoordinatorStatus> {
  return (await look(metadata, clusterName, nowMs)).status;
}

async function look(metadata: MetadataStore, clusterName: string, nowMs: number): Promise<Seen> {
  const keys = clusterKeys(clusterName);
  const [holder, before] = await Promise.all([
    metadata.get(keys.coordinator),
    metadata.get(keys.lastCoordinator),
  ]);
  const decoded = <T>(schema: z.ZodType<T>, entry: MetadataEntry | undefined): T | undefined =>
    entry && orNothing(() => decodeJson(schema, entry.key, entry.value))[0];
  const last = decoded(lastCoordinator, before);
  const beat = decoded(heartbeat, holder);
  const isSame = last !== undefined && (beat === undefined || last.candidate === beat.candidate);
  const isSilent = beat?.atMs !== undefined && nowMs - beat.atMs > SILENT_AFTER_TTLS * beat.ttlMs;
  return {
    revision: holder?.revision ?? 0,
    status: {
      state: beat === undefined ? 'none' : isSilent ? 'silent' : 'leading',
      candidate: beat?.candidate ?? last?.candidate ?? null,
      electedAtMs: isSame ? last.electedAtMs : null,
      heartbeatAtMs: beat?.atMs ?? null,
      leftAtMs: beat === undefined ? (last?.leftAtMs ?? null) : null,
      ttlMs: beat?.ttlMs ?? null,
    },
  };
}

/**
 * Whether there is nobody to give an order to: looked at for long enough that a candidate would have taken a free office, or a
 * leader whose clock differs would have shown another heartbeat.
 *
 * @returns why, for people; null where there is a coordinator, as far as one can know.
 */
export async function whyNoCoordinator(metadata: MetadataStore, clusterName: string): Promise<string | null> {
  const first = await look(metadata, clusterName, Date.now());
  if (first.status.state === 'leading') return null;
  const { state, ttlMs } = first.status;
  // Three heartbeats to a time to live.
  const patienceMs = state === 'none' ? NOBODY_AFTER_MS : (ttlMs ?? 0) / 3 + NOBODY_AFTER_MS / 2;
  for (const fromMs = performance.now(); performance.now() - fromMs < patienceMs; ) {
    await delay(LOOK_MS);
    const now = await look(metadata, clusterName, Date.now());
    if (now.status.state === 'leading' || (now.status.state === 'silent' && now.revision !== first.revision))
      return null;
  }
  return coordinatorText(first.status);
}

/** Such as `there is no coordinator: query-10000 was the last, and left the office at 2026-01-01 13:00:07 UTC`. */
export function coordinatorText(status: CoordinatorStatus): string {
  const { state, candidate, electedAtMs, heartbeatAtMs, leftAtMs } = status;
  const since = electedAtMs === null ? '' : `, elected at ${asSecond(electedAtMs)}`;
  if (state === 'leading') return `${candidate}${since}`;
  if (candidate === null) return 'there is no coordinator, and never was one';
  if (state === 'silent')
    return `there is no coordinator: ${candidate} was the last${since}, and has not been heard of since ${asSecond(heartbeatAtMs as number)}`;
  return leftAtMs === null
    ? `there is no coordinator: ${candidate} was the last${since}, and has lost the office`
    : `there is no coordinator: ${candidate} was the last${since}, and left the office at ${asSecond(leftAtMs)}`;
}

const asSecond = (ms: number): string => `${new Date(ms).toISOString().slice(0, 19).replace('T', ' ')} UTC`;
