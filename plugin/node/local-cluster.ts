import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ForeshardError } from '../../src/base/errors.ts';
import type { ControlBody, ControlReplies, ControlReply, ControlRequest } from '../host/control-messages.ts';
import { QUERY_NODE_ID_MIN } from './node-options.ts';

/** A node that has not said "ready" by then never will: a machine under load takes seconds. */
const READY_MS_MAX = 60_000;
/** How long an orderly stop may take before the process is killed. */
const STOP_MS_MAX = 5_000;
/** A planning cycle is the longest thing that is asked for. */
const CONTROL_MS_MAX = 120_000;
/** Of each node's output, its last part is kept. */
const LOG_CHARACTERS_MAX = 64 * 1024;
// A node holds its working set in LMDB's page cache, not in the heap: a small young generation keeps the process small.
const NODE_FLAGS_DEFAULT: readonly string[] = ['--max-old-space-size=256', '--max-semi-space-size=4'];
const PAGE_BYTES = 4096;

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

interface ReadyMessage {
  readonly kind: 'ready';
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
  readonly #nodes = new Map<number, NodeProcess>();
  readonly #onExit = (): void => this.#abandon();
  #isStopped = false;

  private constructor(options: LocalClusterOptions) {
    this.#options = options;
    this.storageNodeCount = options.storageNodeCount;
    this.partitionCount = options.partitionCount;
    this.folder = options.folder ?? mkdtempSync(join(tmpdir(), 'foreshard-'));
    mkdirSync(this.folder, { recursive: true });
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
    return this.#node(QUERY_NODE_ID_MIN).address.host;
  }

  get port(): number {
    return this.#node(QUERY_NODE_ID_MIN).address.port;
  }

  /** Where clients connect to another query node than the first. */
  addressOf(nodeId: number): { readonly host: string; readonly port: number } {
    return this.#node(nodeId).address;
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
    const isQueryNode = (node: NodeProcess): boolean => node.nodeId >= QUERY_NODE_ID_MIN;
    const nodes = [...this.#nodes.values()];
    // The query node first: so that it does not take the others' end for a failure.
    await Promise.all(nodes.filter(isQueryNode).map((node) => node.stop()));
    await Promise.all(nodes.filter((node) => !isQueryNode(node)).map((node) => node.stop()));
    process.off('exit', this.#onExit);
    this.#removeFolder();
  }

  #node(nodeId: number): NodeProcess {
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
    const child = spawn(
      process.execPath,
      [
        ...(this.#options.nodeFlags ?? NODE_FLAGS_DEFAULT),
        ...loaderFlags(),
        commandLineEntry(),
        'node',
        '--role',
        role,
        '--node-id',
        String(nodeId),
        '--config',
        config,
      ],
      {
        cwd: this.folder,
        stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
        serialization: 'advanced',
        env: {
          ...process.env,
          FORESHARD_NODE_DATA_DIR: join(this.folder, `node-${nodeId}`),
          ...this.#options.environment,
          ...this.#options.environmentOf?.(nodeId),
          ...environment,
        },
      },
    );
    const node = new NodeProcess(nodeId, child);
    this.#nodes.set(nodeId, node);
    await node.ready;
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

interface OpenRequest {
  readonly resolve: (body: unknown) => void;
  readonly reject: (error: Error) => void;
  readonly timer: NodeJS.Timeout;
}

/** One node's process and the channel to it. */
class NodeProcess {
  readonly nodeId: number;
  readonly process: ChildProcess;
  /** Resolves when the node serves. */
  readonly ready: Promise<void>;
  readonly #exited: Promise<void>;
  readonly #open = new Map<number, OpenRequest>();
  #address: ReadyMessage | null = null;
  #nextRequest = 1;
  #hasExited = false;
  #log = '';

  constructor(nodeId: number, child: ChildProcess) {
    this.nodeId = nodeId;
    this.process = child;
    for (const stream of [child.stdout, child.stderr])
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.#log = (this.#log + text).slice(-LOG_CHARACTERS_MAX);
      });
    this.#exited = new Promise((resolve) => {
      child.once('close', () => resolve());
      child.once('error', () => resolve());
    });
    void this.#exited.then(() => this.#onExited());
    this.ready = this.#waitUntilReady();
  }

  get address(): { readonly host: string; readonly port: number } {
    if (this.#address === null) throw this.#failure('does not serve yet');
    return this.#address;
  }

  get log(): string {
    return this.#log;
  }

  #waitUntilReady(): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(
        () => reject(this.#failure(`was not ready within ${READY_MS_MAX} ms`)),
        READY_MS_MAX,
      );
      this.process.on('message', (message: ReadyMessage | ControlReply) => {
        if (message.kind !== 'ready') {
          this.#onReply(message);
          return;
        }
        clearTimeout(timer);
        this.#address = message;
        resolve();
      });
      void this.#exited.then(() => {
        clearTimeout(timer);
        reject(
          this.#failure(`ended with ${this.process.exitCode ?? this.process.signalCode} before it was ready`),
        );
      });
    });
  }

  control(body: ControlBody, timeoutMs: number): Promise<unknown> {
    return new Promise((resolve, reject) => {
      if (this.#hasExited) {
        reject(this.#failure('is not running'));
        return;
      }
      const id = this.#nextRequest++;
      const timer = setTimeout(() => {
        this.#open.delete(id);
        reject(this.#failure(`did not answer ${body.operation} within ${timeoutMs} ms`));
      }, timeoutMs);
      this.#open.set(id, { resolve, reject, timer });
      const request: ControlRequest = { kind: 'control', id, body };
      this.process.send(request, (error) => {
        if (error !== null) this.#settle(id)?.reject(error);
      });
    });
  }

  #settle(id: number): OpenRequest | undefined {
    const open = this.#open.get(id);
    this.#open.delete(id);
    clearTimeout(open?.timer);
    return open;
  }

  #onReply(reply: ControlReply): void {
    const open = this.#settle(reply.id);
    if (open === undefined) return;
    if (reply.kind === 'control-reply') open.resolve(reply.body);
    else open.reject(new Error(`${reply.code}: ${reply.message}`));
  }

  #onExited(): void {
    this.#hasExited = true;
    for (const id of [...this.#open.keys()]) this.#settle(id)?.reject(this.#failure('has ended'));
  }

  async kill(signal: NodeJS.Signals): Promise<void> {
    if (!this.#hasExited) this.process.kill(signal);
    await this.#exited;
  }

  async stop(): Promise<void> {
    if (this.#hasExited) return;
    // A stopped (SIGSTOP) process would never read the message, so it is woken first.
    this.process.kill('SIGCONT');
    if (this.process.connected) this.process.send({ kind: 'stop' }, () => {});
    const timer = setTimeout(() => this.process.kill('SIGKILL'), STOP_MS_MAX);
    await this.#exited;
    clearTimeout(timer);
  }

  #failure(what: string): ForeshardError {
    const lastWords = this.#log.trim().split('\n').slice(-15).join('\n');
    const detail = lastWords === '' ? '' : `; its last words:\n${lastWords}`;
    return new ForeshardError('FORESHARD_UNAVAILABLE', 'report', `node ${this.nodeId} ${what}${detail}`);
  }
}

const isTypeScript = (): boolean => import.meta.url.endsWith('.ts');

function loaderFlags(): string[] {
  return isTypeScript() ? ['--import', import.meta.resolve('tsx')] : [];
}

function commandLineEntry(): string {
  return fileURLToPath(new URL(`../operator/cli.${isTypeScript() ? 'ts' : 'js'}`, import.meta.url));
}

function residentBytes(pid: number): number {
  try {
    return Number(readFileSync(`/proc/${pid}/statm`, 'latin1').split(' ')[1]) * PAGE_BYTES;
  } catch {
    return 0; // gone, or no /proc here
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
