import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ForeshardError } from '../../../src/base/errors.ts';
import { REDIS_DEFAULTS } from '../../../src/redis-settings.ts';
import { SLOT_COUNT } from './server/cluster-nodes.ts';
import { RedisConnection } from './server/redis-connection.ts';
import { accepted, type RedisCommand, type RedisReply, textOf } from './server/redis-node.ts';

/** Cluster buses on ports of their own choice, and slots given in ranges, came with 7.0. */
const MAJOR_VERSION_MIN = 7;

/** `REDIS_SERVER_PROGRAM=valkey-server` has all that starts servers start those of Valkey. */
const defaultProgram = (): string => process.env.REDIS_SERVER_PROGRAM ?? 'redis-server';

/** Such as "7.0.15"; null where the program is not installed. */
function versionOf(program: string): string | null {
  const { status, stdout } = spawnSync(program, ['--version'], { encoding: 'latin1' });
  return status === 0 ? (/v=(\S+)/.exec(stdout)?.[1] ?? 'of an unknown version') : null;
}

export const hasRedisServer = (program = defaultProgram()): boolean => redisServerProblem(program) === null;

/** Why no cluster can be made of this machine's servers, and the remedy; null when it can. */
export function redisServerProblem(program = defaultProgram()): string | null {
  const from = program.endsWith('valkey-server') ? 'Debian 12 backports' : 'Debian 12';
  const remedy = `apt-get install ${program} (${from}, Ubuntu 24.04 or newer)`;
  const version = versionOf(program);
  if (version === null) return `${program} is not installed: ${remedy}`;
  if (Number.parseInt(version, 10) >= MAJOR_VERSION_MIN) return null;
  return `${program} is ${version}, ${MAJOR_VERSION_MIN}.0 or newer is needed: ${remedy}`;
}

export interface LocalRedisClusterOptions {
  readonly masterCount?: number;
  /** Of each master. */
  readonly replicaCount?: number;
  /** `redis-server`, or what REDIS_SERVER_PROGRAM names. */
  readonly program?: string;
  readonly serverArguments?: readonly string[];
  /** Of `lo`, in turn; 127.0.0.1 unless told. */
  readonly hosts?: readonly string[];
}

interface Server {
  readonly host: string;
  readonly port: number;
  readonly busPort: number;
  readonly isReplica: boolean;
  process: ChildProcess;
  readonly node: RedisConnection;
  nodeId: string;
}

/** A node is taken to be dead after so long: short, so that a failover is soon over; loaded machines want no shorter one. */
const NODE_TIMEOUT_MS = 2_000;
const READY_MS_MAX = 30_000;

/** A Redis Cluster of real servers on free ports of this machine, in a temporary folder: for tests, benches and the example. */
export class LocalRedisCluster {
  readonly #folder = mkdtempSync(join(tmpdir(), 'foreshard-redis-cluster-'));
  readonly #options: Required<LocalRedisClusterOptions>;
  readonly #servers: Server[] = [];
  /** The caller is going: no time for anything orderly. */
  readonly #onExit = (): void => {
    for (const { process } of this.#servers) process.kill('SIGKILL');
    this.#removeFolder();
  };

  private constructor(options: LocalRedisClusterOptions) {
    process.once('exit', this.#onExit);
    this.#options = {
      masterCount: 3,
      replicaCount: 0,
      program: defaultProgram(),
      serverArguments: [],
      hosts: ['127.0.0.1'],
      ...options,
    };
  }

  /** @throws ForeshardError FORESHARD_UNAVAILABLE with the line that installs redis-server where it is missing or too old. */
  static async start(options: LocalRedisClusterOptions = {}): Promise<LocalRedisCluster> {
    const cluster = new LocalRedisCluster(options);
    const problem = redisServerProblem(cluster.#options.program);
    if (problem !== null) throw new ForeshardError('FORESHARD_UNAVAILABLE', 'fix-config', problem);
    try {
      await cluster.#startServers();
      await cluster.#join();
    } catch (error) {
      await cluster.stop();
      throw error;
    }
    return cluster;
  }

  get version(): string {
    return versionOf(this.#options.program) ?? 'unknown';
  }

  /** Masters first, in the order of the slots that they were given. */
  get ports(): readonly number[] {
    return this.#servers.map(({ port }) => port);
  }

  /** Where clients, and other servers, find a server. */
  address(index: number): { readonly host: string; readonly port: number } {
    const { host, port } = this.#at(index);
    return { host, port };
  }

  get nodeIds(): readonly string[] {
    return this.#servers.map(({ nodeId }) => nodeId);
  }

  pid(index: number): number {
    return this.#at(index).process.pid as number;
  }

  /** One command to one server. */
  async command(index: number, ...command: RedisCommand): Promise<RedisReply> {
    const [reply] = await this.#at(index).node.pipeline([command]);
    return accepted(reply);
  }

  pipeline(index: number, commands: readonly RedisCommand[]): Promise<readonly RedisReply[]> {
    return this.#at(index).node.pipeline(commands);
  }

  async kill(index: number): Promise<void> {
    const { process } = this.#at(index);
    if (process.exitCode !== null || process.signalCode !== null) return;
    const exited = once(process, 'exit');
    process.kill('SIGKILL');
    await exited;
  }

  /** Starts a server that was killed; it finds its config file, and its data where it keeps any. */
  restart(index: number): void {
    const server = this.#at(index);
    server.process = this.#spawn(server);
  }

  async stop(): Promise<void> {
    for (const { node } of this.#servers) node.close();
    await Promise.all(this.#servers.map((_, index) => this.kill(index)));
    process.off('exit', this.#onExit);
    this.#removeFolder();
  }

  #removeFolder(): void {
    rmSync(this.#folder, { recursive: true, force: true, maxRetries: 3 });
  }

  #at(index: number): Server {
    const server = this.#servers[index];
    if (server === undefined) throw new RangeError(`there is no server ${index}`);
    return server;
  }

  async #startServers(): Promise<void> {
    const { masterCount, replicaCount, hosts } = this.#options;
    const count = masterCount * (1 + replicaCount);
    const ports = await freePorts(count * 2);
    for (let index = 0; index < count; index++) {
      const [port, busPort] = [ports[index * 2] as number, ports[index * 2 + 1] as number];
      const host = hosts[index % hosts.length] as string;
      this.#servers.push({
        host,
        port,
        busPort,
        isReplica: index >= masterCount,
        process: this.#spawn({ host, port, busPort }),
        node: new RedisConnection({ host, port }, REDIS_DEFAULTS),
        nodeId: '',
      });
    }
    for (const server of this.#servers)
      server.nodeId = await this.#until(`redis-server :${server.port}`, async () =>
        textOf((await server.node.pipeline([['CLUSTER', 'MYID']]))[0]),
      );
  }

  #spawn({ host, port, busPort }: Pick<Server, 'host' | 'port' | 'busPort'>): ChildProcess {
    return spawn(
      this.#options.program,
      [
        ...[
          '--port',
          String(port),
          '--cluster-port',
          String(busPort),
          '--bind',
          host,
          '--cluster-announce-ip',
          host,
        ],
        ...['--cluster-enabled', 'yes', '--cluster-config-file', `nodes-${port}.conf`, '--dir', this.#folder],
        ...['--cluster-node-timeout', String(NODE_TIMEOUT_MS), '--save', '', '--appendonly', 'no'],
        // By default a master waits five seconds for more replicas that may want a copy.
        ...['--repl-diskless-sync-delay', '0'],
        ...[
          '--dbfilename',
          `${port}.rdb`,
          '--appenddirname',
          `aof-${port}`,
          ...this.#options.serverArguments,
        ],
      ],
      { stdio: 'ignore' },
    );
  }

  async #join(): Promise<void> {
    const { masterCount } = this.#options;
    for (const [index, server] of this.#servers.entries()) {
      // Nodes with the same epoch would have to settle that among themselves.
      await this.command(index, 'CLUSTER', 'SET-CONFIG-EPOCH', index + 1);
      // Each is told of all: gossip would take seconds to.
      for (const { host, port, busPort } of this.#servers.slice(0, index))
        await this.command(index, 'CLUSTER', 'MEET', host, port, busPort);
      if (server.isReplica) continue;
      const from = Math.round((index * SLOT_COUNT) / masterCount);
      const to = Math.round(((index + 1) * SLOT_COUNT) / masterCount) - 1;
      await this.command(index, 'CLUSTER', 'ADDSLOTSRANGE', from, to);
    }
    await this.#untilJoined();
    for (let index = masterCount; index < this.#servers.length; index++)
      await this.command(index, 'CLUSTER', 'REPLICATE', this.#at(index % masterCount).nodeId);
    for (const [index, { isReplica }] of this.#servers.entries())
      if (isReplica)
        await this.#until(`replica :${this.#at(index).port}`, async () =>
          textOf(await this.command(index, 'INFO', 'replication')).includes('master_link_status:up'),
        );
    await this.#untilJoined();
  }

  /** Every server knows all others and serves. */
  async #untilJoined(): Promise<void> {
    for (const [index, { port }] of this.#servers.entries())
      await this.#until(`cluster as redis-server :${port} sees it`, async () => {
        const text = textOf(await this.command(index, 'CLUSTER', 'INFO'));
        return (
          text.includes('cluster_state:ok') && text.includes(`cluster_known_nodes:${this.#servers.length}\r`)
        );
      });
  }

  async #until<Result>(what: string, look: () => Promise<Result | false>): Promise<Result> {
    let last = 'not yet';
    for (const deadline = performance.now() + READY_MS_MAX; performance.now() < deadline; ) {
      try {
        const result = await look();
        if (result !== false) return result;
      } catch (error) {
        last = (error as Error).message;
      }
      await new Promise((resolve) => setTimeout(resolve, 25));
    }
    throw new ForeshardError('FORESHARD_UNAVAILABLE', 'retry', `${what} was not ready in time: ${last}`);
  }
}

/** All at once, or the same port could be found twice. */
async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'));
  await Promise.all(servers.map((server) => once(server, 'listening')));
  const ports = servers.map((server) => (server.address() as { port: number }).port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}
