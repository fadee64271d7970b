/** What an adapter is judged by: `foreshard/conformance`. */
export { ConformanceFailure } from './claims.ts';
export type {
  ClientReply,
  ClientRequest,
  ConformanceMap,
  EngineUnderTest,
  OpenEngine,
} from './engine-under-test.ts';
export {
  type ConformanceCase,
  type ConformanceOptions,
  type ConformanceReport,
  judgeStorageEngine,
  storageEngineConformance,
} from './storage-engine.ts';
