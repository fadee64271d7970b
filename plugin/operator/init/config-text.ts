import { PLUGIN_MODES, type PluginMode } from '../../../src/controller.ts';
import { DEFAULT_SETTINGS } from '../../../src/settings.ts';
import { ETCD_ENDPOINT, REDIS_ADDRESS } from '../../host/config/addresses.ts';

/** What a new config file is made of. */
export interface ConfigAnswers {
  readonly name: string;
  readonly storageNodeCount: number;
  readonly partitionCount: number;
  /** Some nodes of a Redis Cluster, `HOST:PORT`; none: the embedded engine. */
  readonly redisNodes: readonly string[];
  readonly mode: PluginMode;
  /** Endpoints of etcd; none: the embedded store, for nodes of one machine. */
  readonly etcd: readonly string[];
  /** What one storage node carries; null: not known yet. */
  readonly queriesPerSecond: number | null;
}

export const DEFAULT_ANSWERS: ConfigAnswers = {
  name: DEFAULT_SETTINGS.cluster.name,
  storageNodeCount: 2,
  partitionCount: DEFAULT_SETTINGS.cluster.partitionCount,
  redisNodes: [],
  mode: 'observe',
  etcd: [],
  queriesPerSecond: null,
};

/** One thing to ask, how its answer is read, and what to say of one that makes no sense. */
export interface Question {
  readonly field: keyof ConfigAnswers;
  readonly text: string;
  readonly shown: (answers: ConfigAnswers) => string;
  /** Undefined for what makes no sense. */
  readonly read: (text: string) => ConfigAnswers[keyof ConfigAnswers] | undefined;
  readonly expected: string;
  /** Beside a Redis Cluster there is no such thing to say. */
  readonly isOfEmbeddedEngine?: true;
}

/** @returns undefined where one of them is no `HOST:PORT`. */
export function readAddresses(text: string): readonly string[] | undefined {
  const addresses = text.split(',').map((part) => part.trim());
  return addresses.every((part) => REDIS_ADDRESS.test(part)) ? addresses : undefined;
}

export const ADDRESSES_EXPECTED = 'addresses such as 10.0.0.11:6379,10.0.0.12:6379';

const whole = (text: string, isGood: (value: number) => boolean): number | undefined => {
  const value = Number(text);
  return Number.isSafeInteger(value) && isGood(value) ? value : undefined;
};

export const QUESTIONS: readonly Question[] = [
  {
    field: 'name',
    text: 'Name of the cluster',
    shown: ({ name }) => name,
    read: (text) => (/^[A-Za-z0-9_.-]{1,64}$/.test(text) ? text : undefined),
    expected: '1 to 64 letters, digits, "_", "." or "-"',
  },
  {
    field: 'redisNodes',
    text: 'Nodes of a Redis Cluster or Valkey, comma-separated (empty: none, the embedded engine)',
    shown: ({ redisNodes }) => redisNodes.join(','),
    read: readAddresses,
    expected: ADDRESSES_EXPECTED,
  },
  {
    field: 'storageNodeCount',
    isOfEmbeddedEngine: true,
    text: 'Storage nodes to begin with (others may join later)',
    shown: ({ storageNodeCount }) => String(storageNodeCount),
    read: (text) => whole(text, (value) => value >= 1 && value <= 1_000),
    expected: 'a whole number from 1 on',
  },
  {
    field: 'partitionCount',
    text: 'Partitions (fixed for the life of the data; some 32 a node or more)',
    shown: ({ partitionCount }) => String(partitionCount),
    read: (text) => whole(text, (value) => value >= 16 && value <= 16_384 && (value & (value - 1)) === 0),
    expected: 'a power of two from 16 to 16384',
  },
  {
    field: 'etcd',
    text: 'etcd endpoints, comma-separated (empty: the embedded store, if all nodes are on this machine)',
    shown: ({ etcd }) => etcd.join(','),
    read: (text) => {
      const endpoints = text.split(',').map((part) => part.trim());
      return endpoints.every((part) => ETCD_ENDPOINT.test(part)) ? endpoints : undefined;
    },
    expected: 'URLs with their ports, such as http://10.0.0.1:2379,http://10.0.0.2:2379',
  },
  {
    field: 'queriesPerSecond',
    text: 'Queries a second that one storage node carries (empty: not known yet)',
    shown: ({ queriesPerSecond }) => (queriesPerSecond === null ? '' : String(queriesPerSecond)),
    read: (text) => whole(text, (value) => value > 0),
    expected: 'a whole number above 0',
  },
  {
    field: 'mode',
    text: 'Mode: observe (change nothing), propose (carry out what is approved), auto',
    shown: ({ mode }) => mode,
    read: (text) => PLUGIN_MODES.find((mode) => mode === text),
    expected: PLUGIN_MODES.join(', '),
  },
];

/**
 * A commented config file. Beyond observe a plan needs to know what a node carries.
 *
 * @param socketPath where an agent listens for `config reload`, absolute; null: nowhere.
 */
export function configText(answers: ConfigAnswers, socketPath: string | null = null): string {
  const { name, storageNodeCount, partitionCount, redisNodes, mode, etcd, queriesPerSecond } = answers;
  const isBesideRedis = redisNodes.length > 0;
  const quoted = (text: string): string => JSON.stringify(text);
  const capacity =
    queriesPerSecond === null
      ? '  # What one storage node carries, per second. Modes propose and auto need it.\n  # nodeCapacity: { queries: 20000 }'
      : `  # What one storage node carries, per second.\n  nodeCapacity: { queries: ${queriesPerSecond} }`;
  const metadata =
    etcd.length === 0
      ? '  # One folder for all processes of this machine. For several machines: kind: etcd, and endpoints.\n  kind: embedded\n  path: .foreshard/metadata'
      : `  kind: etcd\n  endpoints: [${etcd.map(quoted).join(', ')}]`;
  return `# Foreshard. \`foreshard config schema\` prints the JSON Schema of this file, \`foreshard config check\` judges it,
# \`foreshard doctor\` looks at the machine and the cluster.
cluster:
  name: ${quoted(name)}
${isBesideRedis ? REDIS_PARTITIONS : `  storageNodeCount: ${storageNodeCount}\n  # Fixed for the life of the data.`}
  partitionCount: ${partitionCount}
${capacity}
${isBesideRedis ? `\nredis:\n  # One of them has to answer; the others are found.\n  nodes: [${redisNodes.map(quoted).join(', ')}]\n` : ''}${socketPath === null ? '' : `\nnode:\n  # \`foreshard config reload\` asks the agent here. Each process of a machine needs its own.\n  healthListen: ${quoted(`unix:${socketPath}`)}\n`}
plugin:
  # observe: record and forecast, change nothing. propose: carry out what is approved. auto: carry out all.
  mode: ${mode}

metadata:
${metadata}

capture:
  # How much of a key is kept to find query templates, 0 to 24 bytes; values never are.
  keyPrefixBytes: ${DEFAULT_SETTINGS.capture.keyPrefixBytes}

${isBesideRedis ? REDIS_PACE : `migration:\n  # The most that one copy takes of the network, bytes per second.\n  copyBytesPerSecond: ${DEFAULT_SETTINGS.migration.copyBytesPerSecond}\n`}`;
}

const REDIS_PARTITIONS =
  '  # A partition is a range of slots. The same for the agents and for every captured client; fixed for the life of their history.';

const REDIS_PACE = `# How fast slots move, once the mode lets them: redis.slotMove, \`foreshard config show\`.
`;
