import { existsSync } from 'node:fs';
import { ForeshardError } from '../../src/base/errors.ts';
import type { MetadataStore } from '../../src/ports/metadata-store.ts';
import type { Settings } from '../../src/settings.ts';
import { openMetadata } from '../metadata/open.ts';

/** Opens the metadata store of an existing cluster for one command. */
export async function withMetadata(
  settings: Settings,
  use: (metadata: MetadataStore) => Promise<void>,
): Promise<void> {
  const { kind, path } = settings.metadata;
  const first = settings.redis.nodes.length > 0 ? '`foreshard agent`' : 'a storage node';
  // Opening would make the folder, and show an empty cluster where the path is simply wrong.
  if (kind === 'embedded' && !existsSync(path))
    throw new ForeshardError(
      'FORESHARD_NOT_READY',
      'wait',
      `metadata.path: there is no metadata store at ${path}: start ${first} first, or name the right config with --config`,
    );
  const metadata = openMetadata(settings.metadata);
  try {
    await use(metadata);
  } finally {
    await metadata.close();
  }
}
