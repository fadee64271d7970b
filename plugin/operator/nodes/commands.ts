import { setTimeout as delay } from 'node:timers/promises';
import type { Command } from 'commander';
import { QUERY_NODE_ID_MIN } from '../../../src/model/ids.ts';
import type { MetadataStore } from '../../../src/ports/metadata-store.ts';
import { RpcStorageEngine } from '../../engines/migration-agent/rpc-storage-engine.ts';
import { whyNoCoordinator } from '../../metadata/coordinator-status.ts';
import { withMetadata } from '../cluster-metadata.ts';
import { confirm, YES_FLAG, type YesFlags } from '../confirm.ts';
import {
  type CommonFlags,
  NODE_ID_MAX,
  REASON_FLAG,
  settingsOf,
  wholeNumber,
  withConfig,
  withJson,
} from '../flags.ts';
import { readPauses } from '../held-back.ts';
import { withNodes } from '../operator-transport.ts';
import { printJson, printLine, printOutcome } from '../output.ts';
import { assertEmbedded, storageMember } from '../what-is-there.ts';
import { setDraining } from './drain.ts';
import { allowJoin } from './join.ts';
import { isEmpty, type NodeStanding, standingOf, standingText } from './node-standing.ts';
import { removeQueryNode, removeStorageNode } from './remove.ts';

interface OrderFlags extends CommonFlags {
  readonly reason: string;
}

interface DrainFlags extends CommonFlags {
  /** Needed by the order, not by who gives it again to hear how far it is. */
  readonly reason?: string;
  readonly wait?: boolean;
}

const FOLLOW_MS = 500;

const storageNode = wholeNumber('node', 0, QUERY_NODE_ID_MIN - 1);

export function addNodeOrders(program: Command): void {
  withJson(withConfig(program.command('join')))
    .argument('<node>', 'number of the new storage node', storageNode)
    .requiredOption(...REASON_FLAG)
    .description(
      'let a storage node of this number, which the cluster does not have yet, join when it is started',
    )
    .action(async (nodeId: number, { reason, ...flags }: OrderFlags) => {
      const { settings } = await settingsOf(flags);
      assertEmbedded(settings, 'join');
      const order = { nodeId, reason, nowMs: Date.now() };
      await withMetadata(settings, async (metadata) =>
        printOutcome(await allowJoin(metadata, settings.cluster.name, order), flags, { nodeId }),
      );
    });
  withJson(withConfig(program.command('drain')))
    .argument('<node>', 'number of the storage node', storageNode)
    .option(...REASON_FLAG)
    .option('--wait', 'stay until the node is empty, and tell how far it is')
    .description(
      'have all partitions of a storage node moved away, and give it nothing more; said again, tell how far it is',
    )
    .action(drain);
  withJson(withConfig(program.command('undrain')))
    .argument('<node>', 'number of the storage node', storageNode)
    .requiredOption(...REASON_FLAG)
    .description('end a drain: plans may give the node something again')
    .action(async (nodeId: number, flags: OrderFlags) => {
      const { settings } = await settingsOf(flags);
      assertEmbedded(settings, 'undrain');
      await withMetadata(settings, async (metadata) => {
        const order = orderOf(nodeId, flags, false);
        const { hasChanged } = await setDraining(metadata, settings.cluster.name, order);
        const message = hasChanged
          ? `node ${nodeId} is no longer drained: plans may give it something again; what has left comes back only if a plan says so`
          : `node ${nodeId} was not being drained: nothing has changed`;
        printOutcome(message, flags, { nodeId, hasChanged });
      });
    });
  withJson(withConfig(program.command('remove')))
    .argument('<node>', 'number of the node', wholeNumber('node', 0, NODE_ID_MAX))
    .requiredOption(...REASON_FLAG)
    .option(...YES_FLAG)
    .description('take an empty storage node out of the cluster, or a query node that is gone')
    .action(remove);
}

const orderOf = (nodeId: number, { reason = '' }: DrainFlags, isDraining: boolean) => ({
  nodeId,
  isDraining,
  reason,
  nowMs: Date.now(),
});

async function drain(nodeId: number, flags: DrainFlags): Promise<void> {
  const { settings } = await settingsOf(flags);
  assertEmbedded(settings, 'drain');
  const { name } = settings.cluster;
  await withMetadata(settings, async (metadata) => {
    let standing: NodeStanding = await setDraining(metadata, name, orderOf(nodeId, flags, true));
    const hindrances = isEmpty(standing) ? [] : await hindrancesOf(metadata, name);
    const tell = (): void => {
      if (flags.json === true) printJson({ ...standing, isEmpty: isEmpty(standing), hindrances });
      else printLine(standingText(standing));
    };
    tell();
    if (flags.json !== true) for (const line of hindrances) printLine(line);
    while (flags.wait === true && !isEmpty(standing)) {
      await delay(FOLLOW_MS);
      const before = standingText(standing);
      standing = await standingNow(metadata, name, nodeId);
      if (standingText(standing) !== before) tell();
    }
  });
}

const standingNow = async (
  metadata: MetadataStore,
  clusterName: string,
  nodeId: number,
): Promise<NodeStanding> =>
  standingOf(metadata, clusterName, await storageMember(metadata, clusterName, nodeId));

/** Why nothing would happen, for somebody who waits for it. */
async function hindrancesOf(metadata: MetadataStore, clusterName: string): Promise<string[]> {
  const nobody = await whyNoCoordinator(metadata, clusterName);
  const { isPaused } = await readPauses(metadata, clusterName);
  return [
    ...(nobody === null ? [] : [`${nobody}: the drain begins when a query node runs`]),
    ...(isPaused ? ['all migrations are paused: `foreshard resume` lets the drain begin'] : []),
  ];
}

async function remove(nodeId: number, flags: OrderFlags & YesFlags): Promise<void> {
  const { settings } = await settingsOf(flags);
  assertEmbedded(settings, 'remove');
  await confirm(
    `node ${nodeId} is taken out of the cluster, and no process serves from its store again`,
    flags,
  );
  const { name } = settings.cluster;
  const order = { nodeId, reason: flags.reason };
  await withMetadata(settings, async (metadata) => {
    if (nodeId >= QUERY_NODE_ID_MIN)
      return printOutcome(await removeQueryNode(metadata, name, order), flags, { nodeId });
    await withNodes(settings, metadata, async (transport) => {
      const engine = new RpcStorageEngine(transport);
      printOutcome(await removeStorageNode(metadata, engine, name, order), flags, { nodeId });
    });
  });
}
