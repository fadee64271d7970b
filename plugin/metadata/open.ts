import type { MetadataStore } from '../../src/ports/metadata-store.ts';
import type { MetadataSettings } from '../../src/settings.ts';
import { readNamedFile, readPrivateFile } from '../security/private-file.ts';
import { type EmbeddedMetadataOptions, openEmbeddedMetadata } from './embedded.ts';
import { openEtcdMetadata } from './etcd/etcd-metadata.ts';

/**
 * The store that the settings name.
 *
 * @param options see {@link EmbeddedMetadataOptions}; etcd commits elsewhere anyway.
 * @throws ForeshardError FORESHARD_CONFIG naming the setting.
 */
export function openMetadata(
  settings: MetadataSettings,
  options: Pick<EmbeddedMetadataOptions, 'commitsAtOnce' | 'pollMs'> = {},
): MetadataStore {
  if (settings.kind === 'embedded') return openEmbeddedMetadata({ path: settings.path, ...options });
  const { endpoints, user, password } = settings;
  return openEtcdMetadata({
    endpoints,
    tls: readEtcdTls(settings),
    ...(user !== null && password !== null && { login: { user, password } }),
  });
}

/** What etcd is shown, and known by. @throws ForeshardError FORESHARD_CONFIG naming the setting whose file cannot be read. */
export function readEtcdTls({ authorityFile, certificateFile, keyFile }: MetadataSettings) {
  return {
    ...(authorityFile !== null && { authority: readNamedFile('metadata.authorityFile', authorityFile) }),
    ...(certificateFile !== null && {
      certificate: readNamedFile('metadata.certificateFile', certificateFile),
    }),
    ...(keyFile !== null && { key: readPrivateFile('metadata.keyFile', keyFile) }),
  };
}
