import { attachMigrationAgent } from './engines/migration-agent/attach-agent.ts';
import { definePlugin } from './host/plugin.ts';
import { attachAnalysis } from './host/query-node-plugin.ts';
import { peerTlsOf } from './rpc/peer-tls.ts';

export { type AttachAgentOptions, attachMigrationAgent } from './engines/migration-agent/attach-agent.ts';
export { definePlugin, type PluginDefinition } from './host/plugin.ts';

/** Foreshard's own plugin: what `plugin.modules: ["foreshard"]` loads. */
export default definePlugin({
  name: 'foreshard',
  attachQueryNode: (context) => attachAnalysis(context),
  attachStorageNode: ({ settings, ...context }) =>
    attachMigrationAgent({
      ...context,
      clusterName: settings.cluster.name,
      partitionCount: settings.cluster.partitionCount,
      tls: peerTlsOf(settings.security, context.logger),
    }),
});
/** What makes leases, elections and etcd's limits of the other verbs of a metadata store. */
export { type KeptOptions, keepAnnounced } from './metadata/announcement.ts';
export { type CampaignOptions, campaignByHeartbeat } from './metadata/election.ts';
export { assertWithinLimits } from './metadata/transaction-limits.ts';
export { openPostgresParser } from './templates/postgres-sql.ts';
