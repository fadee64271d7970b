import type { Approval, Rejection } from '../../src/migration/queue/approvals.ts';
import { byTurn, type PendingApproval } from '../../src/migration/queue/approvals.ts';
import type { MetadataEntry, MetadataStore } from '../../src/ports/metadata-store.ts';
import { orNothing } from './json-values.ts';
import { recordCodec } from './record-codec.ts';

/** What operators have said of proposed moves, and has not been done or run out yet. */
export interface Decisions {
  /** In the order in which they should begin. */
  readonly approvals: readonly Approval[];
  readonly rejections: readonly Rejection[];
}

export interface ReadDecisions extends Decisions {
  /** Of each key of an approval or a rejection that exists, also of one that has run out or cannot be read. */
  readonly revisions: ReadonlyMap<string, number>;
}

/** Records that are not valid are left out. @param nowMs rejections that have run out by then are left out too. */
export async function readDecisions(
  store: MetadataStore,
  clusterName: string,
  nowMs: number,
): Promise<ReadDecisions> {
  const codec = recordCodec(clusterName);
  const { entries } = await store.list(codec.keys.controlPrefix);
  const below = <T>(prefix: string, decode: (entry: MetadataEntry) => T): T[] =>
    entries.filter(({ key }) => key.startsWith(prefix)).flatMap((entry) => orNothing(() => decode(entry)));
  const approvals = below(
    codec.keys.approvalPrefix,
    ({ key, revision, value }): PendingApproval => ({ key, revision, approval: codec.decodeApproval(value) }),
  );
  const rejections = below(codec.keys.rejectionPrefix, ({ value }) => codec.decodeRejection(value));
  const { approvalPrefix, rejectionPrefix } = codec.keys;
  const decided = entries.filter(
    ({ key }) => key.startsWith(approvalPrefix) || key.startsWith(rejectionPrefix),
  );
  return {
    revisions: new Map(decided.map(({ key, revision }) => [key, revision])),
    approvals: approvals.sort(byTurn).map(({ approval }) => approval),
    rejections: rejections.filter(({ untilMs }) => untilMs > nowMs),
  };
}
