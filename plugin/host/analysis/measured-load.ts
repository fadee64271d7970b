import type { Logger } from '../../../src/base/logger.ts';
import type { MetadataStore } from '../../../src/ports/metadata-store.ts';
import type { Settings } from '../../../src/settings.ts';
import { nodeCpuPrefix, profilePrefix } from '../records/record-keys.ts';
import { CPU_WINDOWS_MAX } from './node-cpu-feed.ts';
import { ProfileLedger } from './profile-ledger.ts';
import { ProfilePublisher } from './profile-publisher.ts';

/** Load by partition and window, as it is measured by all and published: of queries, and of the CPU that servers tell of. */
export interface MeasuredLoad {
  readonly grid: { readonly windowMs: number; readonly partitionCount: number };
  readonly ledger: ProfileLedger;
  readonly publisher: ProfilePublisher;
  readonly cpuLedger: ProfileLedger;
  readonly cpuPublisher: ProfilePublisher;
}

export function openMeasuredLoad(
  { analyzer, cluster, forecast }: Settings,
  { metadata, logger }: { readonly metadata: MetadataStore; readonly logger: Logger },
): MeasuredLoad {
  const grid = { windowMs: analyzer.windowMs, partitionCount: cluster.partitionCount };
  const ledger = new ProfileLedger({ ...grid, windowsMax: forecast.historyWindows });
  const cpuLedger = new ProfileLedger({ ...grid, windowsMax: CPU_WINDOWS_MAX });
  const publisherOf = (of: ProfileLedger, prefix: string): ProfilePublisher =>
    new ProfilePublisher({ metadata, ledger: of, prefix, logger });
  return {
    grid,
    ledger,
    publisher: publisherOf(ledger, profilePrefix(cluster.name)),
    cpuLedger,
    cpuPublisher: publisherOf(cpuLedger, nodeCpuPrefix(cluster.name)),
  };
}
