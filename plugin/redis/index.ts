/** `foreshard/redis`: what an application loads whose Redis or Valkey cluster Foreshard watches over. */
export {
  type CaptureOptions,
  type CaptureStatus,
  type ClusterCapture,
  captureCluster,
} from './capture-cluster.ts';
export { type SlotLoads, SlotStats, type SlotStatsSupport } from './slot-stats.ts';
