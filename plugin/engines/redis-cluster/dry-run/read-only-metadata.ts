import type { MetadataStore } from '../../../../src/ports/metadata-store.ts';

/** A metadata store that says that every commit has been made, and makes none: for a run that must change nothing. */
export function withoutWrites(metadata: MetadataStore): MetadataStore {
  return new Proxy(metadata, {
    get(target, name) {
      if (name === 'commit') return () => Promise.resolve({ isCommitted: true, revision: 0 });
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}
