import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** Whether `etcd` and `etcdctl` are installed. */
export const hasEtcd = (): boolean =>
  spawnSync('etcd', ['--version']).status === 0 && spawnSync('etcdctl', ['version']).status === 0;

export interface EtcdOptions {
  /** Members of the cluster; 1 by default. */
  readonly members?: number;
  /** Address of the members, 127.0.0.1 by default. */
  readonly host?: string;
  /** Bytes that the store may take before it raises NOSPACE. */
  readonly quotaBytes?: number;
  /** Clients speak TLS and show a certificate of the authority; the files are PEM, the certificate is the members' own. */
  readonly tls?: {
    readonly authorityFile: string;
    readonly certificateFile: string;
    readonly keyFile: string;
  };
  /** Of each member's process: rules of a firewall can tell members by it, who share one address. */
  readonly groupOf?: (member: number) => number;
}

interface Member {
  readonly index: number;
  readonly name: string;
  readonly clientUrl: string;
  readonly peerUrl: string;
  readonly folder: string;
  process: ChildProcess | null;
}

/**
 * Real etcd members on free ports of one address, for replays, tests and benches: from the `etcd` that is installed, in a temporary
 * folder, gone with the process that started them. Their disks are not synced: what they hold need not outlive the machine.
 */
export class LocalEtcd {
  readonly #folder = mkdtempSync(join(tmpdir(), 'foreshard-etcd-'));
  readonly #options: EtcdOptions;
  readonly #onExit = (): void => this.#abandon();
  #members: readonly Member[] = [];
  /** `USER:PASSWORD` of etcdctl, once etcd asks for one. */
  ctlUser: string | null = null;

  private constructor(options: EtcdOptions) {
    this.#options = options;
    process.once('exit', this.#onExit);
  }

  static async start(options: EtcdOptions = {}): Promise<LocalEtcd> {
    const server = new LocalEtcd(options);
    const count = options.members ?? 1;
    const host = options.host ?? '127.0.0.1';
    const ports = await freePorts(2 * count, host);
    server.#members = Array.from({ length: count }, (_, index) => ({
      index,
      name: `m${index}`,
      clientUrl: `${options.tls ? 'https' : 'http'}://${host}:${ports[2 * index]}`,
      peerUrl: `http://${host}:${ports[2 * index + 1]}`,
      folder: join(server.#folder, `m${index}`),
      process: null,
    }));
    for (const member of server.#members) server.#spawn(member);
    try {
      await server.healthy();
    } catch (error) {
      await server.close();
      throw error;
    }
    return server;
  }

  get endpoints(): readonly string[] {
    return this.#members.map(({ clientUrl }) => clientUrl);
  }

  /** Resolves when the members answer a linearizable read. */
  async healthy(): Promise<void> {
    for (let attempt = 0; ; attempt++) {
      if (this.ctl('endpoint', 'health').status === 0) return;
      if (attempt > 100) throw new Error('etcd did not become healthy within 10 s');
      await sleep(50);
    }
  }

  /** What etcdctl reads of the environment to ask all members; see its `--help`. */
  get ctlEnvironment(): Readonly<Record<string, string>> {
    const { tls } = this.#options;
    return {
      ETCDCTL_API: '3',
      ETCDCTL_ENDPOINTS: this.endpoints.join(','),
      ETCDCTL_COMMAND_TIMEOUT: '2s',
      ...(this.ctlUser !== null && { ETCDCTL_USER: this.ctlUser }),
      ...(tls && {
        ETCDCTL_CACERT: tls.authorityFile,
        ETCDCTL_CERT: tls.certificateFile,
        ETCDCTL_KEY: tls.keyFile,
      }),
    };
  }

  /** Runs etcdctl against all members. */
  ctl(...parameters: string[]): { readonly status: number | null; readonly stdout: string } {
    return this.#ctlOf(this.endpoints, parameters);
  }

  #ctlOf(
    endpoints: readonly string[],
    parameters: readonly string[],
  ): { readonly status: number | null; readonly stdout: string } {
    // By the environment alone: etcdctl refuses to be told of members twice.
    const env = { ...process.env, ...this.ctlEnvironment, ETCDCTL_ENDPOINTS: endpoints.join(',') };
    const { status, stdout } = spawnSync('etcdctl', parameters, { encoding: 'utf8', env });
    return { status, stdout };
  }

  /** Which member leads; null while none does. */
  leader(): number | null {
    for (const { index, clientUrl } of this.#members) {
      const { status, stdout } = this.#ctlOf([clientUrl], ['endpoint', 'status', '-w', 'json']);
      if (status !== 0) continue;
      const [{ Status: found }] = JSON.parse(stdout) as [
        { Status: { leader?: number; header: { member_id: number } } },
      ];
      if (found.leader !== undefined && found.leader === found.header.member_id) return index;
    }
    return null;
  }

  /** Ports by which a member is reached, for rules of a firewall. */
  portsOf(index: number): { readonly client: number; readonly peer: number } {
    const { clientUrl, peerUrl } = this.#members[index] as Member;
    return { client: Number(new URL(clientUrl).port), peer: Number(new URL(peerUrl).port) };
  }

  /** What the store holds now goes into a file. */
  saveSnapshot(file: string): void {
    const first = this.endpoints[0] as string;
    const { status } = this.#ctlOf([first], ['snapshot', 'save', file]);
    if (status !== 0) throw new Error(`etcdctl snapshot save ended with ${status}`);
  }

  /** kill -9 of all members, and a start from what was saved: all that was written since is forgotten. */
  async restoreSnapshot(file: string): Promise<void> {
    await this.kill();
    for (const member of this.#members) {
      rmSync(member.folder, { recursive: true, force: true });
      const { status } = this.ctl(
        ...['snapshot', 'restore', file, '--name', member.name, '--data-dir', member.folder],
        ...['--initial-cluster', this.#initialCluster, '--initial-advertise-peer-urls', member.peerUrl],
      );
      if (status !== 0) throw new Error(`etcdctl snapshot restore ended with ${status}`);
    }
    await this.restart();
  }

  /** kill -9 of one member, or of all; what they have written stays. */
  async kill(index?: number): Promise<void> {
    const members = index === undefined ? this.#members : [this.#members[index] as Member];
    await Promise.all(
      members.map(async (member) => {
        const { process } = member;
        if (!process) return;
        const exited = once(process, 'exit');
        process.kill('SIGKILL');
        await exited;
        member.process = null;
      }),
    );
  }

  /** Starts whoever does not run, on the same ports. @param isEmpty as another store would be there: all data is gone. */
  async restart({ isEmpty = false }: { readonly isEmpty?: boolean } = {}): Promise<void> {
    for (const member of this.#members)
      if (!member.process) {
        if (isEmpty) rmSync(member.folder, { recursive: true, force: true });
        this.#spawn(member);
      }
    await this.healthy();
  }

  get memberCount(): number {
    return this.#members.length;
  }

  /** SIGSTOP: the member is there and does not answer. Resolves once it stands. */
  async stop(index: number): Promise<void> {
    const { process } = this.#members[index] as Member;
    process?.kill('SIGSTOP');
    while (process && !/^State:\s+T/m.test(readFileSync(`/proc/${process.pid}/status`, 'utf8')))
      await sleep(1);
  }

  resume(index: number): void {
    this.#members[index]?.process?.kill('SIGCONT');
  }

  async close(): Promise<void> {
    await this.kill();
    process.off('exit', this.#onExit);
    rmSync(this.#folder, { recursive: true, force: true });
  }

  /** This process ends without having closed: nobody is left to wait for. */
  #abandon(): void {
    for (const { process } of this.#members) process?.kill('SIGKILL');
    rmSync(this.#folder, { recursive: true, force: true });
  }

  get #initialCluster(): string {
    return this.#members.map(({ name, peerUrl }) => `${name}=${peerUrl}`).join(',');
  }

  #spawn(member: Member): void {
    const { tls, quotaBytes, groupOf } = this.#options;
    member.process = spawn(
      'etcd',
      [
        ...['--name', member.name, '--data-dir', member.folder],
        ...['--listen-client-urls', member.clientUrl, '--advertise-client-urls', member.clientUrl],
        ...['--listen-peer-urls', member.peerUrl, '--initial-advertise-peer-urls', member.peerUrl],
        ...['--initial-cluster', this.#initialCluster, '--initial-cluster-state', 'new'],
        ...['--unsafe-no-fsync', '--log-level', 'error'],
        ...['--heartbeat-interval', '50', '--election-timeout', '500'],
        ...(quotaBytes ? ['--quota-backend-bytes', String(quotaBytes)] : []),
        ...(tls
          ? [
              ...['--cert-file', tls.certificateFile, '--key-file', tls.keyFile],
              ...['--trusted-ca-file', tls.authorityFile, '--client-cert-auth'],
            ]
          : []),
      ],
      { stdio: 'ignore', ...(groupOf && { gid: groupOf(member.index) }) },
    );
  }
}

/** Ports that nobody listened on a moment ago. */
async function freePorts(count: number, host: string): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer().listen(0, host);
      await once(server, 'listening');
      return server;
    }),
  );
  const ports = servers.map((server) => (server.address() as { port: number }).port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}
