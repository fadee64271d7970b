/** Mistakes about machines that are lost, or are taken for lost. */
import type { MetadataCondition, MetadataTransaction } from '../../src/ports/metadata-store.ts';
import type { CoordinatorSeam, Mutant } from './mutants.ts';
import { withMethods } from './mutants-of-nodes.ts';
import { lostAfterCopy, takenForLost } from './worlds.ts';

/** The store whose retirement a transaction refuses because it owns something. */
function refusedOwner({ codec }: CoordinatorSeam, { writes }: MetadataTransaction): string | null {
  const { auditPrefix, retirementPrefix } = codec.keys;
  const audit = writes.find(({ key }) => key.startsWith(auditPrefix));
  const request = writes.find(({ key }) => key.startsWith(retirementPrefix));
  if (audit?.kind !== 'put' || !request) return null;
  const isRefused = /"refused".* owns partition/.test(Buffer.from(audit.value).toString());
  return isRefused ? request.key.slice(retirementPrefix.length) : null;
}

const isAbout = ({ codec }: CoordinatorSeam, { key }: MetadataCondition): boolean =>
  key.startsWith(codec.keys.storePrefix) || key.startsWith(codec.keys.retirementPrefix);

export const LOSS_MUTANTS: readonly Mutant[] = [
  {
    // The operator is taken at their word: the store is retired, whatever it owns.
    name: 'retires-a-store-that-owns',
    shownBy: ['liveness'],
    world: (scenario) => takenForLost(scenario, 'source'),
    metadata: (metadata, seam) => ({
      ...metadata,
      commit: ({ conditions, writes }) => {
        const storeId = refusedOwner(seam, { conditions, writes });
        if (storeId === null) return metadata.commit({ conditions, writes });
        const { keys, encodeStoreState } = seam.codec;
        const retire = { kind: 'put', key: keys.store(storeId), value: encodeStoreState('retired') } as const;
        return metadata.commit({ conditions, writes: [...writes, retire] });
      },
    }),
  },
  {
    // Retirement is for the node to hear of; the coordinator goes on with what it has begun.
    name: 'retired-copy-becomes-owner',
    shownBy: ['retirement'],
    world: (scenario) => takenForLost(scenario, 'target'),
    metadata: (metadata, seam) => ({
      ...metadata,
      list: async (prefix) => {
        const listed = await metadata.list(prefix);
        return prefix === seam.codec.keys.storePrefix ? { ...listed, entries: [] } : listed;
      },
      commit: ({ conditions, writes }) =>
        metadata.commit({ conditions: conditions.filter((each) => !isAbout(seam, each)), writes }),
    }),
  },
  {
    // A snapshot that was opened again is younger than what was copied before it, and nobody remembers that.
    name: 'copy-of-two-snapshots-is-whole',
    shownBy: ['data'],
    world: lostAfterCopy,
    store: (store) =>
      withMethods(store, {
        updateMeta: (partitionId, change) =>
          store.updateMeta(partitionId, (meta, digest) => {
            const after = change(meta, digest);
            return after.staging ? { ...after, staging: { ...after.staging, snapshotLsn: 0 } } : after;
          }),
      }),
  },
];
