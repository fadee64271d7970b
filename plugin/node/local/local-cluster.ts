import type { ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ControlBody, ControlReplies } from '../../host/control-messages.ts';
import { makeFolder } from '../../make-folder.ts';
import { QUERY_NODE_ID_MIN } from '../node-options.ts';
import { ControlledProcess, residentBytes } from './controlled-process.ts';

/** A planning cycle is the longest thing that is asked for. */
const CONTROL_MS_MAX = 120_000;
// A node holds its working set in LMDB's page cache, not in the heap: a small young generation keeps the process small.
const NODE_FLAGS_DEFAULT: readonly string[] = ['--max-old-space-size=256', '--max-semi-space-size=4'];

/** Settings as a config file would give them; plain data of any depth. */
export type SettingsTree = { readonly [key: string]: unknown };

export interface LocalClusterOptions {
  readonly storageNodeCount: number;
  readonly partitionCount: number;
  /** Settings beside those that follow from the above, such as `{ plugin: { mode: 'auto' } }`. */
  readonly settings?: SettingsTree;
  /** Kept when the cluster stops; without it a temporary folder is made, and removed. */
  readonly folder?: string;
  /** 0, the default, lets the system choose. */
  readonly clientPort?: number;
  readonly nodeFlags?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  /** Beside that, of one node: its certificate, say. */
  readonly environmentOf?: (nodeId: number) => Readonly<Record<string, string>>;
}

interface Address {
  readonly host: string;
  readonly port: number;
}

/**
 * One query node and N storage nodes as processes of their own on this machine, for replays, tests and benches. They run
 * from the same kind of code as the caller: TypeScript through tsx, or `dist`. Whatever ends the caller ends them.
 */
export class LocalCluster {
  readonly storageNodeCount: number;
  readonly partitionCount: number;
  /** Config file, data and metadata of all nodes. */
  readonly folder: string;
  readonly #options: LocalClusterOptions;
  readonly #nodes = new Map<number, ControlledProcess>();
  /** Of those that serve. */
  readonly #addresses = new Map<number, Address>();
  readonly #onExit = (): void => this.#abandon();
  #isStopped = false;

  private constructor(options: LocalClusterOptions) {
    this.#options = options;
    this.storageNodeCount = options.storageNodeCount;
    this.partitionCount = options.partitionCount;
    this.folder = options.folder ?? mkdtempSync(join(tmpdir(), 'foreshard-'));
    makeFolder(this.folder);
    process.once('exit', this.#onExit);
  }

  /** @throws ForeshardError FORESHARD_UNAVAILABLE with the node's last words when one does not come up; nothing is left then. */
  static async start(options: LocalClusterOptions): Promise<LocalCluster> {
    const cluster = new LocalCluster(options);
    try {
      cluster.#writeConfig();
      const ids = Array.from({ length: options.storageNodeCount }, (_, nodeId) => nodeId);
      await Promise.all([...ids, QUERY_NODE_ID_MIN].map((nodeId) => cluster.#startNode(nodeId)));
    } catch (error) {
      await cluster.stop();
      throw error;
    }
    return cluster;
  }

  /** Where clients connect. */
  get host(): string {
    return this.addressOf(QUERY_NODE_ID_MIN).host;
  }

  get port(): number {
    return this.addressOf(QUERY_NODE_ID_MIN).port;
  }

  /** Where clients connect to another query node than the first. */
  addressOf(nodeId: number): Address {
    const address = this.#addresses.get(nodeId);
    if (address === undefined) throw new RangeError(`node ${nodeId} does not serve`);
    return address;
  }

  /** Asks a query node, the first unless told; see plugin/host/control-messages.ts. */
  control<Operation extends ControlBody['operation']>(
    body: Extract<ControlBody, { operation: Operation }>,
    options: { readonly timeoutMs?: number; readonly nodeId?: number } = {},
  ): Promise<ControlReplies[Operation]> {
    const node = this.#node(options.nodeId ?? QUERY_NODE_ID_MIN);
    return node.control(body, options.timeoutMs ?? CONTROL_MS_MAX) as Promise<ControlReplies[Operation]>;
  }

  /** Ends one node without warning, as a crash would. Resolves when the process is gone. */
  async kill(nodeId: number, signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    await this.#node(nodeId).kill(signal);
  }

  /** SIGSTOP, SIGCONT and the like: the process stays. */
  signal(nodeId: number, signal: NodeJS.Signals): void {
    this.#node(nodeId).process.kill(signal);
  }

  /**
   * Starts a node that was killed, on the data it has left behind, or one more query node. Resolves when it serves.
   *
   * @param environment beside that of the cluster's options, such as `{ FORESHARD_PLUGIN_MODE: 'auto' }`.
   */
  async restart(nodeId: number, environment: Readonly<Record<string, string>> = {}): Promise<void> {
    await this.#startNode(nodeId, environment);
  }

  pid(nodeId: number): number {
    return this.process(nodeId).pid as number;
  }

  process(nodeId: number): ChildProcess {
    return this.#node(nodeId).process;
  }

  /** The last of what a node has written to its output. */
  log(nodeId: number): string {
    return this.#node(nodeId).log;
  }

  /** Resident memory of all nodes together, bytes; 0 where the system does not tell. */
  memoryBytes(): number {
    let bytes = 0;
    for (const node of this.#nodes.values()) bytes += residentBytes(node.process.pid as number);
    return bytes;
  }

  /** Stops all nodes in order, kills what does not stop, removes the temporary folder. */
  async stop(): Promise<void> {
    if (this.#isStopped) return;
    this.#isStopped = true;
    const isQueryNode = (nodeId: number): boolean => nodeId >= QUERY_NODE_ID_MIN;
    const nodes = [...this.#nodes];
    // The query node first: so that it does not take the others' end for a failure.
    await Promise.all(nodes.filter(([nodeId]) => isQueryNode(nodeId)).map(([, node]) => node.stop()));
    await Promise.all(nodes.filter(([nodeId]) => !isQueryNode(nodeId)).map(([, node]) => node.stop()));
    process.off('exit', this.#onExit);
    this.#removeFolder();
  }

  #node(nodeId: number): ControlledProcess {
    const node = this.#nodes.get(nodeId);
    if (node === undefined) throw new RangeError(`the cluster has no node ${nodeId}`);
    return node;
  }

  #writeConfig(): void {
    const { settings = {}, clientPort = 0, storageNodeCount, partitionCount } = this.#options;
    const own: SettingsTree = {
      cluster: { storageNodeCount, partitionCount },
      node: { clientListen: `127.0.0.1:${clientPort}`, peerListen: '127.0.0.1:0', logLevel: 'warn' },
      metadata: { path: 'metadata' },
    };
    writeFileSync(
      join(this.folder, 'foreshard.config.json'),
      JSON.stringify(mergeTrees(own, settings), null, 2),
    );
  }

  async #startNode(nodeId: number, environment: Readonly<Record<string, string>> = {}): Promise<void> {
    const role = nodeId >= QUERY_NODE_ID_MIN ? 'query' : 'storage';
    const config = join(this.folder, 'foreshard.config.json');
    const node = new ControlledProcess(
      `node ${nodeId}`,
      ['node', '--role', role, '--node-id', String(nodeId), '--config', config],
      {
        folder: this.folder,
        nodeFlags: this.#options.nodeFlags ?? NODE_FLAGS_DEFAULT,
        environment: {
          FORESHARD_NODE_DATA_DIR: join(this.folder, `node-${nodeId}`),
          ...this.#options.environment,
          ...this.#options.environmentOf?.(nodeId),
          ...environment,
        },
      },
    );
    this.#nodes.set(nodeId, node);
    const { host, port } = await node.ready;
    this.#addresses.set(nodeId, { host: String(host), port: Number(port) });
  }

  /** The caller is going: no time for anything orderly. */
  #abandon(): void {
    for (const node of this.#nodes.values()) node.process.kill('SIGKILL');
    this.#removeFolder();
  }

  #removeFolder(): void {
    if (this.#options.folder === undefined)
      rmSync(this.folder, { recursive: true, force: true, maxRetries: 3 });
  }
}

function mergeTrees(base: SettingsTree, over: SettingsTree): SettingsTree {
  const merged: Record<string, unknown> = { ...base };
  for (const [key, value] of Object.entries(over)) {
    const below = merged[key];
    const isTree = (tree: unknown): tree is SettingsTree =>
      typeof tree === 'object' && tree !== null && !Array.isArray(tree);
    merged[key] = isTree(below) && isTree(value) ? mergeTrees(below, value) : value;
  }
  return merged;
}
