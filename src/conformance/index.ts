/** What adapters are judged by: `foreshard/conformance`. */
export type { ConformanceCase, ConformanceOptions, ConformanceReport } from './cases.ts';
export { ConformanceFailure } from './claims.ts';
export type {
  ClientReply,
  ClientRequest,
  ConformanceMap,
  EngineUnderTest,
  OpenEngine,
} from './engine-under-test.ts';
export { judgeMetadataStore, metadataStoreConformance } from './metadata-store.ts';
export type { MetadataUnderTest, OpenMetadata } from './metadata-under-test.ts';
export { judgeStorageEngine, storageEngineConformance } from './storage-engine.ts';
