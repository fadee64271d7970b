import { setTimeout as delay } from 'node:timers/promises';
import type { Command } from 'commander';
import { zoneOf } from '../../../src/affinity/relief/settings.ts';
import { isOpen } from '../../../src/migration/records/record-changes.ts';
import type { MetadataStore } from '../../../src/ports/metadata-store.ts';
import type { Settings } from '../../../src/settings.ts';
import type { MigrationTransport } from '../../engines/migration-agent/migration-transport.ts';
import { readClusterSeen } from '../../engines/redis-cluster/load/cluster-seen.ts';
import { readForecast } from '../../host/records/forecast-record.ts';
import { decodeProposal } from '../../host/records/proposal-record.ts';
import { forecastPrefix, proposalKey } from '../../host/records/record-keys.ts';
import { loadMap } from '../../metadata/cluster-map.ts';
import { orNothing } from '../../metadata/json-values.ts';
import { listMembers, type Member } from '../../metadata/members.ts';
import { withMetadata } from '../cluster-metadata.ts';
import { parseDuration } from '../duration.ts';
import { type CommonFlags, settingsOf, wholeNumber, withConfig, withJson } from '../flags.ts';
import { withNodes } from '../operator-transport.ts';
import { printJson, printLine } from '../output.ts';
import { isColoured, Screen } from '../screen.ts';
import { type Reading, rateOf, readActivity } from './activity.ts';
import { topLines } from './lines.ts';
import { seenText, type TopView, topView } from './view.ts';

interface TopFlags extends CommonFlags {
  readonly interval: string;
  readonly limit: number;
  readonly once?: boolean;
}

export function addTopCommand(program: Command): void {
  withJson(withConfig(program.command('top')))
    .option('--interval <duration>', 'between two looks', '2s')
    .option('--limit <number>', 'partitions that are shown', wholeNumber('--limit', 1, 16_384), 20)
    .option('--once', 'one look, then end; so it is also with --json, and where there is no terminal')
    .description('show what nodes and the hottest partitions are asked now, and in the next hour')
    .action(async (flags: TopFlags) => {
      const intervalMs = parseDuration('--interval', flags.interval);
      const { settings } = await settingsOf(flags);
      await withMetadata(settings, (metadata) =>
        withNodes(settings, metadata, async (transport) => {
          const looks = new Looks({ settings, metadata, transport, limit: flags.limit });
          await looks.begin();
          await delay(intervalMs);
          if (flags.json === true) return printJson(await looks.take());
          const screen = Screen.ofTerminal();
          if (screen === null || flags.once === true) {
            const options = { isColoured: isColoured(process.stdout), linesMax: Number.POSITIVE_INFINITY };
            for (const line of topLines(await looks.take(), options)) printLine(line);
            return;
          }
          await live(looks, screen, intervalMs);
        }),
      );
    });
}

/** Until Ctrl-C. */
async function live(looks: Looks, screen: Screen, intervalMs: number): Promise<void> {
  const ending = new AbortController();
  process.once('SIGINT', () => ending.abort());
  screen.open();
  try {
    while (!ending.signal.aborted) {
      const view = await looks.take();
      screen.show(topLines(view, { isColoured: isColoured(process.stdout), linesMax: screen.rows }));
      await delay(intervalMs, undefined, { signal: ending.signal }).catch(() => undefined);
    }
  } finally {
    screen.close();
  }
}

interface LooksOptions {
  readonly settings: Settings;
  readonly metadata: MetadataStore;
  readonly transport: MigrationTransport;
  readonly limit: number;
}

/** Looks at one cluster, each since the one before. */
class Looks {
  readonly #options: LooksOptions;
  #last: Reading = new Map();

  constructor(options: LooksOptions) {
    this.#options = options;
  }

  async begin(): Promise<void> {
    const members = await this.#storageMembers();
    this.#last = await this.#read(members);
  }

  async take(): Promise<TopView> {
    const { settings, metadata, limit } = this.#options;
    const { name, nodeCapacity } = settings.cluster;
    const members = await this.#storageMembers();
    const reading = await this.#read(members);
    const before = this.#last;
    this.#last = reading;
    const { map, records } = await loadMap(metadata, name);
    const proposal = await metadata.get(proposalKey(name));
    const atMs = Date.now();
    // Of one that has run out nothing is carried out any more.
    const moves = orNothing(() => (proposal === undefined ? null : decodeProposal(proposal.value))).flatMap(
      (latest) => (latest === null || latest.expiresAtMs < atMs ? [] : latest.moves),
    );
    const isRedis = settings.redis.nodes.length > 0;
    const capacityOf = new Map(members.map(({ nodeId, capacity }) => [nodeId, capacity?.queries ?? null]));
    return topView({
      atMs,
      seenByAgent: isRedis ? seenText(await readClusterSeen(metadata, name)) : null,
      ownerOf: map.ownerOf,
      nodeIds: members.map(({ nodeId }) => nodeId),
      rates: new Map([...reading].map(([nodeId, after]) => [nodeId, rateOf(before.get(nodeId), after)])),
      forecast: await readForecast(metadata, forecastPrefix(name)),
      proposed: new Map(moves.map(({ partitionId, targetNodeId }) => [partitionId, targetNodeId])),
      openMigrationCount: records.filter(isOpen).length,
      capacityOf: (nodeId) => capacityOf.get(nodeId) ?? nodeCapacity.queries,
      utilisationHighOf: (nodeId) => zoneOf(settings.affinity.relief, nodeId, 'queries').high,
      limit,
    });
  }

  async #storageMembers(): Promise<Member[]> {
    const { metadata, settings } = this.#options;
    return (await listMembers(metadata, settings.cluster.name)).filter(({ role }) => role === 'storage');
  }

  #read(members: readonly Member[]): Promise<Reading> {
    const { transport, settings } = this.#options;
    const nodeIds = members.map(({ nodeId }) => nodeId);
    return readActivity(transport, nodeIds, settings.cluster.partitionCount);
  }
}
