import type { Etcd3, Lease } from 'etcd3';
import type { Clock } from '../../../src/base/clock.ts';
import type {
  Announced,
  Announcement,
  CommitResult,
  MetadataEntry,
  MetadataTransaction,
} from '../../../src/ports/metadata-store.ts';
import { keepAnnounced } from '../announcement.ts';

interface LeaseComponents {
  readonly client: Etcd3;
  readonly clock: Clock;
  readonly closing: AbortSignal;
  readonly get: (key: string) => Promise<MetadataEntry | undefined>;
  /** A transaction whose writes belong to a lease. */
  readonly commit: (transaction: MetadataTransaction, lease: string) => Promise<CommitResult>;
  readonly requestTimeoutMs: number;
}

/**
 * A key under a lease of etcd. The library's own keeping of leases is not used: it tells of a loss late, and does not look
 * whether the key is still there. Here each beat reads the key, and renews the lease if the key is still the one written.
 */
export async function announceByLease(
  announced: Announced,
  components: LeaseComponents,
): Promise<Announcement> {
  const { key, value, ttlMs } = announced;
  const { client, clock, closing, get, commit, requestTimeoutMs } = components;
  const deadline = (): { deadline: number } => ({ deadline: Date.now() + requestTimeoutMs });
  let ours: { readonly lease: Lease; readonly revision: number } | null = null;

  async function take(conditions: MetadataTransaction['conditions']): Promise<void> {
    const lease = client.lease(Math.max(1, Math.ceil(ttlMs / 1000)), { autoKeepAlive: false, ...deadline() });
    const id = await lease.grant();
    const result = await commit({ conditions, writes: [{ kind: 'put', key, value }] }, id);
    if (result.isCommitted) ours = { lease, revision: result.revision };
    else await lease.revoke(deadline());
  }

  await take([]);
  return keepAnnounced({
    clock,
    ttlMs,
    closing,
    async beat() {
      const found = await get(key);
      if (!found) await take([{ key, revisionIs: 0 }]);
      else if (ours?.revision === found.revision) await ours.lease.keepaliveOnce(deadline());
    },
    // Takes the key with it, unless somebody else has written it since: then it is no longer of this lease.
    remove: async () => ours?.lease.revoke(deadline()),
  });
}
