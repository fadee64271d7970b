/**
 * The metadata store of a cluster of machines: etcd 3.4 or later, by npm `etcd3`. Safety rests on nothing but linearizable reads
 * and transactions: leases, watches and the library's own retries are not part of it.
 */
import { ConstantBackoff, noop } from 'cockatiel';
import type { Etcd3, IOptions, IRangeResponse, ITxnRequest, ITxnResponse } from 'etcd3';
import { type Clock, systemClock } from '../../../src/base/clock.ts';
import { ForeshardError } from '../../../src/base/errors.ts';
import {
  type Announced,
  type Announcement,
  type Candidacy,
  type CommitResult,
  conditionHolds,
  type Leadership,
  type MetadataEntry,
  type MetadataStore,
  type MetadataTransaction,
  type Unwatch,
} from '../../../src/ports/metadata-store.ts';
import { campaignByHeartbeat } from '../election.ts';
import { assertWithinLimits } from '../transaction-limits.ts';
import { isCertainlyNotApplied, isCompacted, mayPass, unavailable } from './faults.ts';
import { announceByLease } from './lease-announcement.ts';
import { etcdLibrary } from './library.ts';
import { MemberChoice } from './member-choice.ts';
import { entryOf, rangeOf, requestOf } from './requests.ts';
import { RevisionGuard } from './revision-guard.ts';
import { WatchHub } from './watch-hub.ts';

export interface EtcdMetadataOptions {
  /** Of the members, `http://host:2379` or `https://…`; any order. */
  readonly endpoints: readonly string[];
  /** PEM, for endpoints of https: of an authority that the machine does not know; what etcd is shown, if it asks. */
  readonly tls?: { readonly authority?: Buffer; readonly certificate?: Buffer; readonly key?: Buffer };
  readonly login?: { readonly user: string; readonly password: string };
  /** How long one request may take before another member is asked, or the outcome is called unknown. Default 2,000. */
  readonly requestTimeoutMs?: number;
  /** How often what is watched is looked at, in case a hint was missed. Default 5,000. */
  readonly checkMs?: number;
  readonly clock?: Clock;
}

const REQUEST_TIMEOUT_MS_DEFAULT = 2_000;
const CHECK_MS_DEFAULT = 5_000;
/** Between tries of a read: a member that has lost its leader finds the next within a second or so. */
const RETRY_MS = 100;
/** Reads ask every member about twice, since members are chosen by chance, before the store counts as out of reach. */
const TRIES_PER_ENDPOINT = 2;
/** Keys of one page of `list`: at most 500 map records in migration are 5 MB, far below the message limit. */
const PAGE_KEYS = 500;
const MESSAGE_BYTES_MAX = 64 << 20;
/** etcd ends connections that ping more often than every 5 s. */
const KEEPALIVE_MS = 10_000;
const KEEPALIVE_TIMEOUT_MS = 3_000;

/** @throws ForeshardError FORESHARD_CONFIG when an endpoint is not one, or the files of TLS are of no use. Whether etcd is there shows at the first request. */
export function openEtcdMetadata(options: EtcdMetadataOptions): MetadataStore {
  for (const endpoint of options.endpoints)
    if (!/^https?:\/\/[^/\s]+:\d+$/.test(endpoint))
      throw new ForeshardError(
        'FORESHARD_CONFIG',
        'fix-config',
        `metadata.endpoints: ${JSON.stringify(endpoint)} is no endpoint of etcd: write http://HOST:PORT or https://HOST:PORT`,
      );
  try {
    return new EtcdMetadata(options);
  } catch (cause) {
    throw new ForeshardError(
      'FORESHARD_CONFIG',
      'fix-config',
      `metadata: etcd's client cannot be made: ${(cause as Error).message}: check that metadata.certificateFile and keyFile ` +
        'are PEM and belong together, and that metadata.endpoints are all https:// or all http://',
      { cause },
    );
  }
}

/** The library asks for a backoff by its type and calls it as what makes one: `ConstantBackoff` is both once it has begun. */
const WATCH_BACKOFF = new ConstantBackoff(250).next() as unknown as NonNullable<
  NonNullable<IOptions['faultHandling']>['watchBackoff']
>;

class EtcdMetadata implements MetadataStore {
  readonly #client: Etcd3;
  readonly #endpoints: readonly string[];
  readonly #clock: Clock;
  readonly #requestTimeoutMs: number;
  readonly #guard = new RevisionGuard();
  readonly #watches: WatchHub;
  readonly #closing = new AbortController();
  readonly #check: NodeJS.Timeout;

  constructor(options: EtcdMetadataOptions) {
    this.#endpoints = options.endpoints;
    this.#clock = options.clock ?? systemClock();
    this.#requestTimeoutMs = options.requestTimeoutMs ?? REQUEST_TIMEOUT_MS_DEFAULT;
    const { Etcd3 } = etcdLibrary();
    this.#client = new Etcd3(
      clientOptions(options, this.#requestTimeoutMs, new MemberChoice(options.endpoints, this.#clock)),
    );
    this.#watches = new WatchHub(this.#client);
    this.#check = setInterval(() => void this.#lookForMissedHints(), options.checkMs ?? CHECK_MS_DEFAULT);
    this.#check.unref();
  }

  async get(key: string): Promise<MetadataEntry | undefined> {
    const { kvs } = await this.#read(`read ${key}`, { key: Buffer.from(key) });
    return kvs[0] && entryOf(kvs[0]);
  }

  async list(prefix: string): Promise<{ entries: readonly MetadataEntry[]; revision: number }> {
    for (;;) {
      try {
        return await this.#listAt(prefix);
      } catch (error) {
        // A compaction between two pages took the revision that the first was read at: the list is read anew.
        if (!(error instanceof ForeshardError && isCompacted(error.cause))) throw error;
      }
    }
  }

  commit(transaction: MetadataTransaction): Promise<CommitResult> {
    return this.#commit(transaction);
  }

  async #commit(transaction: MetadataTransaction, lease?: string): Promise<CommitResult> {
    assertWithinLimits(transaction);
    const { conditions } = transaction;
    const doing = `write ${transaction.writes[0]?.key ?? 'nothing'}`;
    const sentAt = this.#guard.revision;
    let response: ITxnResponse;
    try {
      response = await this.#commitOnce(doing, requestOf(transaction, lease));
    } catch (cause) {
      if (cause instanceof ForeshardError) throw cause;
      if (isCertainlyNotApplied(cause)) throw unavailable(doing, this.#endpoints, cause);
      throw new ForeshardError(
        'FORESHARD_UNKNOWN_OUTCOME',
        're-read',
        `etcd at ${this.#endpoints.join(', ')} did not answer whether it did ${doing}`,
        { cause },
      );
    }
    const revision = this.#guard.take(response.header, sentAt);
    if (response.succeeded) return { isCommitted: true, revision };
    // Read in the same transaction: what the conditions were compared with.
    const failed = conditions.find((condition, index) => {
      const found = response.responses[index]?.response_range?.kvs[0];
      return !conditionHolds(condition, found && entryOf(found));
    });
    if (!failed)
      throw new ForeshardError('FORESHARD_CORRUPT', 'report', `etcd refused to ${doing}, but all holds`);
    return { isCommitted: false, failed };
  }

  watch(prefix: string, onHint: () => void, options?: { readonly afterRevision?: number }): Unwatch {
    return this.#watches.watch(prefix, onHint, options);
  }

  async announce(announced: Announced): Promise<Announcement> {
    const doing = `announce ${announced.key}`;
    this.#assertUsable(doing);
    try {
      return await announceByLease(announced, {
        client: this.#client,
        clock: this.#clock,
        closing: this.#closing.signal,
        get: (key) => this.get(key),
        commit: (transaction, lease) => this.#commit(transaction, lease),
        requestTimeoutMs: this.#requestTimeoutMs,
      });
    } catch (error) {
      throw error instanceof ForeshardError ? error : unavailable(doing, this.#endpoints, error);
    }
  }

  campaign(options: Candidacy): Promise<Leadership> {
    return campaignByHeartbeat({
      ...options,
      store: this,
      clock: this.#clock,
      closing: this.#closing.signal,
    });
  }

  async close(): Promise<void> {
    if (this.#closing.signal.aborted) return;
    this.#closing.abort();
    clearInterval(this.#check);
    this.#watches.close();
    this.#client.close();
  }

  async #listAt(prefix: string): Promise<{ entries: readonly MetadataEntry[]; revision: number }> {
    const range = rangeOf(prefix);
    const entries: MetadataEntry[] = [];
    let start = range.key;
    let revision = 0;
    for (;;) {
      const page = await this.#read(`list ${prefix}`, {
        ...range,
        key: start,
        limit: PAGE_KEYS,
        revision,
      });
      revision ||= Number(page.header.revision);
      entries.push(...page.kvs.map(entryOf));
      const last = page.kvs.at(-1);
      if (!page.more || !last) return { entries, revision };
      start = Buffer.concat([last.key, Buffer.of(0)]);
    }
  }

  /** A linearizable read, tried at other members while it may pass. @throws ForeshardError */
  async #read(doing: string, range: Parameters<Etcd3['kv']['range']>[0]): Promise<IRangeResponse> {
    const tries = this.#endpoints.length * TRIES_PER_ENDPOINT;
    for (let attempt = 1; ; attempt++) {
      this.#assertUsable(doing);
      const sentAt = this.#guard.revision;
      try {
        const response = await this.#client.kv.range(range);
        this.#guard.take(response.header, sentAt);
        return response;
      } catch (error) {
        if (error instanceof ForeshardError) throw error;
        this.#assertUsable(doing);
        if (attempt >= tries || !mayPass(error) || isCompacted(error))
          throw unavailable(doing, this.#endpoints, error);
        await this.#clock.sleep(RETRY_MS, this.#closing.signal);
      }
    }
  }

  /** Only what was never sent is sent again: a member that is down must not make the outcome unknown. */
  async #commitOnce(doing: string, request: ITxnRequest): Promise<ITxnResponse> {
    const tries = this.#endpoints.length * TRIES_PER_ENDPOINT;
    for (let attempt = 1; ; attempt++) {
      this.#assertUsable(doing);
      try {
        return await this.#client.kv.txn(request);
      } catch (error) {
        if (attempt >= tries || !isCertainlyNotApplied(error) || !mayPass(error)) throw error;
        await this.#clock.sleep(RETRY_MS, this.#closing.signal);
      }
    }
  }

  async #lookForMissedHints(): Promise<void> {
    for (const prefix of this.#watches.prefixes)
      try {
        const newest = { sort_target: 'Mod', sort_order: 'Descend', limit: 1, keys_only: true } as const;
        const { kvs, count } = await this.#read(`look at ${prefix}`, { ...rangeOf(prefix), ...newest });
        const revision = Number(kvs[0]?.mod_revision ?? 0);
        this.#watches.note(prefix, { keyCount: Number(count), revision });
      } catch {
        // Out of reach: the next look, or whoever asks for something, will see it.
        return;
      }
  }

  #assertUsable(doing: string): void {
    if (this.#closing.signal.aborted)
      throw new ForeshardError(
        'FORESHARD_UNAVAILABLE',
        'restart',
        `the metadata store is closed, cannot ${doing}`,
      );
    if (this.#guard.failure) throw this.#guard.failure;
  }
}

function clientOptions(
  { endpoints, tls, login }: EtcdMetadataOptions,
  timeoutMs: number,
  choice: MemberChoice,
): IOptions {
  const credentials = credentialsOf(tls);
  return {
    hosts: [...endpoints],
    ...(credentials && { credentials }),
    ...(login && { auth: { username: login.user, password: login.password } }),
    // The library's circuit breaker keeps watches away for seconds, and its retries repeat transactions whose outcome is unknown.
    faultHandling: { host: choice.policyOf, global: noop, watchBackoff: WATCH_BACKOFF },
    grpcOptions: {
      'grpc.max_receive_message_length': MESSAGE_BYTES_MAX,
      'grpc.max_send_message_length': MESSAGE_BYTES_MAX,
      'grpc.keepalive_time_ms': KEEPALIVE_MS,
      'grpc.keepalive_timeout_ms': KEEPALIVE_TIMEOUT_MS,
    },
    defaultCallOptions: ({ isStream }) => (isStream ? {} : { deadline: Date.now() + timeoutMs }),
  };
}

/** The library's type asks for an authority, but hands on what it is given: to gRPC, null means those the machine knows. */
function credentialsOf(tls: EtcdMetadataOptions['tls'] = {}): IOptions['credentials'] {
  const { authority, certificate, key } = tls;
  if (!authority && !key) return undefined;
  return {
    rootCertificate: (authority ?? null) as Buffer,
    ...(key && certificate && { privateKey: key, certChain: certificate }),
  };
}
