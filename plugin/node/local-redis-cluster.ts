import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type RespValue, sendOnce } from './resp/one-shot.ts';

const SLOT_COUNT = 16_384;
/** Redis itself keeps a cluster closed for its first 2 s; gossip between a few nodes is done long before. */
const READY_MS_MAX = 20_000;
const POLL_MS = 25;
/** A port that was free may be taken before the server has it, by whoever else starts something just then. */
const START_ATTEMPTS = 3;

/** Whether a server that can be a cluster's node is installed. */
export const hasRedisProgram = (program: 'redis-server' | 'valkey-server' = 'redis-server'): boolean =>
  spawnSync(program, ['--version']).status === 0;

export interface RedisClusterOptions {
  /** Masters, which share the slots evenly; 3 by default. */
  readonly masters?: number;
  readonly replicasPerMaster?: number;
  /** Further masters that own no slot. */
  readonly emptyMasters?: number;
  readonly program?: 'redis-server' | 'valkey-server';
  /** How long a silent node is waited for before it is in doubt, milliseconds; 5,000 by default. */
  readonly nodeTimeoutMs?: number;
  /** Further settings of each server: `['--maxmemory', '50mb']`. */
  readonly settings?: readonly string[];
}

/** One server of a local cluster. */
export interface RedisClusterNode {
  /** In order of start: masters first, then empty masters, then replicas. */
  readonly index: number;
  readonly port: number;
  readonly busPort: number;
  /** As in CLUSTER NODES. */
  readonly id: string;
  /** Of the running process; undefined while it is killed. */
  readonly pid: number | undefined;
}

class Server implements RedisClusterNode {
  id = '';
  process: ChildProcess | null = null;
  readonly index: number;
  readonly port: number;
  readonly busPort: number;
  readonly folder: string;

  constructor(index: number, port: number, busPort: number, folder: string) {
    this.index = index;
    this.port = port;
    this.busPort = busPort;
    this.folder = folder;
  }

  get pid(): number | undefined {
    return this.process?.pid;
  }
}

/**
 * A real Redis Cluster on free ports of the loopback, for replays, tests and benches: from the `redis-server` that is installed,
 * in a temporary folder, without persistence, gone with the process that started it.
 */
export class LocalRedisCluster {
  readonly #folder = mkdtempSync(join(tmpdir(), 'foreshard-redis-cluster-'));
  readonly #options: RedisClusterOptions;
  readonly #onExit = (): void => this.#abandon();
  #servers: readonly Server[] = [];

  private constructor(options: RedisClusterOptions) {
    this.#options = options;
    process.once('exit', this.#onExit);
  }

  static async start(options: RedisClusterOptions = {}): Promise<LocalRedisCluster> {
    for (let attempt = 1; ; attempt++) {
      const cluster = new LocalRedisCluster(options);
      try {
        await cluster.#create();
        return cluster;
      } catch (error) {
        await cluster.close();
        if (attempt === START_ATTEMPTS) throw error;
      }
    }
  }

  get nodes(): readonly RedisClusterNode[] {
    return this.#servers;
  }

  /** For `new Cluster(…)` of ioredis; `url` for `rootNodes` of node-redis. */
  get addresses(): readonly { readonly host: string; readonly port: number; readonly url: string }[] {
    return this.#servers.map(({ port }) => ({ host: '127.0.0.1', port, url: `redis://127.0.0.1:${port}` }));
  }

  /** Sends one command to one node. @throws Error with the server's text. */
  send(index: number, ...words: (string | number)[]): Promise<RespValue> {
    return sendOnce(this.#server(index).port, words);
  }

  /** What a node's INFO says by name. */
  async info(index: number, section = 'everything'): Promise<ReadonlyMap<string, string>> {
    const text = String(await this.send(index, 'INFO', section));
    const fields = text
      .split('\r\n')
      .map((line) => /^([^#:][^:]*):(.*)$/.exec(line))
      .filter((match) => match !== null)
      .map((match) => [match[1], match[2]] as const);
    return new Map(fields);
  }

  /** kill -9; resolves when the process is gone. */
  async kill(index: number): Promise<void> {
    const server = this.#server(index);
    if (!server.process) return;
    if (server.process.exitCode === null && server.process.signalCode === null) {
      const exited = once(server.process, 'exit');
      server.process.kill('SIGKILL');
      await exited;
    }
    server.process = null;
  }

  /** Starts a killed node on its ports, with its identity and without data; resolves when it answers. */
  async restart(index: number): Promise<void> {
    const server = this.#server(index);
    if (server.process) return;
    this.#spawn(server);
    await this.#answers(server);
  }

  /** SIGSTOP: the node is there and does not answer. Resolves once it stands. */
  async stop(index: number): Promise<void> {
    const { process } = this.#server(index);
    process?.kill('SIGSTOP');
    while (process && !/^State:\s+T/m.test(readFileSync(`/proc/${process.pid}/status`, 'utf8')))
      await sleep(1);
  }

  resume(index: number): void {
    this.#server(index).process?.kill('SIGCONT');
  }

  /** Resolves when every running node says that all slots are served and knows all nodes. */
  async ready(): Promise<void> {
    const deadlineMs = performance.now() + READY_MS_MAX;
    for (const server of this.#servers)
      while (server.process) {
        const said = String(await sendOnce(server.port, ['CLUSTER', 'INFO']).catch(String));
        const known = Number(/cluster_known_nodes:(\d+)/.exec(said)?.[1]);
        if (said.includes('cluster_state:ok') && known === this.#servers.length) break;
        if (performance.now() > deadlineMs)
          throw new Error(`node ${server.index} of the Redis cluster is not ready after 20 s:\n${said}`);
        await sleep(POLL_MS);
      }
  }

  async close(): Promise<void> {
    await Promise.all(this.#servers.map(({ index }) => this.kill(index)));
    process.off('exit', this.#onExit);
    rmSync(this.#folder, { recursive: true, force: true });
  }

  /** What `redis-cli --cluster create` does, without its questions. */
  async #create(): Promise<void> {
    const { masters = 3, emptyMasters = 0, replicasPerMaster = 0 } = this.#options;
    const count = masters + emptyMasters + masters * replicasPerMaster;
    const ports = await freePorts(2 * count);
    this.#servers = Array.from({ length: count }, (_, index) => {
      const folder = join(this.#folder, `n${index}`);
      mkdirSync(folder);
      return new Server(index, ports[2 * index], ports[2 * index + 1], folder);
    });
    for (const server of this.#servers) this.#spawn(server);
    await Promise.all(this.#servers.map((server) => this.#answers(server)));
    for (const server of this.#servers) {
      server.id = String(await sendOnce(server.port, ['CLUSTER', 'MYID']));
      // Distinct from the start: nodes that meet with equal epochs settle it by gossip, which takes seconds.
      await sendOnce(server.port, ['CLUSTER', 'SET-CONFIG-EPOCH', server.index + 1]);
      if (server.index < masters) await sendOnce(server.port, addSlots(server.index, masters));
    }
    const [first, ...others] = this.#servers;
    for (const { port, busPort } of others)
      await sendOnce((first as Server).port, ['CLUSTER', 'MEET', '127.0.0.1', port, busPort]);
    await this.#replicate(masters, masters + emptyMasters);
    await this.ready();
    await this.#replicasAreLinked(masters + emptyMasters);
  }

  async #replicate(masters: number, firstReplica: number): Promise<void> {
    for (const replica of this.#servers.slice(firstReplica)) {
      const master = this.#server((replica.index - firstReplica) % masters);
      const deadlineMs = performance.now() + READY_MS_MAX;
      // Refused until gossip has brought the master's name to it.
      while (!(await sendOnce(replica.port, ['CLUSTER', 'REPLICATE', master.id]).catch(() => null))) {
        if (performance.now() > deadlineMs)
          throw new Error('a replica did not hear of its master within 20 s');
        await sleep(POLL_MS);
      }
    }
  }

  async #replicasAreLinked(firstReplica: number): Promise<void> {
    for (const { index } of this.#servers.slice(firstReplica)) {
      const deadlineMs = performance.now() + READY_MS_MAX;
      while ((await this.info(index, 'replication')).get('master_link_status') !== 'up') {
        if (performance.now() > deadlineMs)
          throw new Error(`replica ${index} has no link to its master after 20 s`);
        await sleep(POLL_MS);
      }
    }
  }

  #spawn(server: Server): void {
    server.process = spawn(
      this.#options.program ?? 'redis-server',
      [
        ...['--port', String(server.port), '--cluster-port', String(server.busPort), '--bind', '127.0.0.1'],
        ...['--cluster-enabled', 'yes', '--cluster-config-file', 'nodes.conf', '--dir', server.folder],
        ...['--cluster-node-timeout', String(this.#options.nodeTimeoutMs ?? 5000)],
        ...['--save', '', '--appendonly', 'no', '--logfile', 'log', '--repl-diskless-sync-delay', '0'],
        ...(this.#options.settings ?? []),
      ],
      { stdio: 'ignore' },
    );
  }

  async #answers(server: Server): Promise<void> {
    const deadlineMs = performance.now() + READY_MS_MAX;
    for (;;) {
      const reply = await sendOnce(server.port, ['PING']).catch(() => null);
      if (reply === 'PONG') return;
      const { exitCode } = server.process as ChildProcess;
      if (exitCode !== null || performance.now() > deadlineMs) throw new Error(whyNot(server, exitCode));
      await sleep(POLL_MS);
    }
  }

  #server(index: number): Server {
    const server = this.#servers[index];
    if (!server) throw new Error(`the cluster has no node ${index}`);
    return server;
  }

  /** This process ends without having closed: nobody is left to wait for. */
  #abandon(): void {
    for (const { process } of this.#servers) process?.kill('SIGKILL');
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

function whyNot({ port, folder }: Server, exitCode: number | null): string {
  const path = join(folder, 'log');
  const log = existsSync(path) ? readFileSync(path, 'utf8').slice(-2000) : 'it wrote no log';
  return `the server at port ${port} did not come up (exit code ${exitCode}):\n${log}`;
}

/** The even share of a master, as `redis-cli --cluster create` deals it. */
function addSlots(index: number, masters: number): (string | number)[] {
  const first = Math.round((index * SLOT_COUNT) / masters);
  const next = Math.round(((index + 1) * SLOT_COUNT) / masters);
  return ['CLUSTER', 'ADDSLOTSRANGE', first, next - 1];
}

/** Ports that nobody listened on a moment ago. */
async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer().listen(0, '127.0.0.1');
      await once(server, 'listening');
      return server;
    }),
  );
  const ports = servers.map((server) => (server.address() as { port: number }).port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}
