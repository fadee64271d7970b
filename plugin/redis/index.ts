/** `foreshard/redis`: what an application loads whose Redis or Valkey cluster Foreshard watches over. */

export {
  type SlotLoads,
  SlotStats,
  type SlotStatsSupport,
} from '../engines/redis-cluster/load/slot-stats.ts';
export {
  type CaptureOptions,
  type CaptureStatus,
  type ClusterCapture,
  captureCluster,
} from './capture-cluster.ts';
