/**
 * Machines, as far as one kernel can pretend: network namespaces on a bridge, each with an address, a host name, a monotonic clock and
 * a wall clock of its own. They are made inside a namespace of the run's own, and are gone with it.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { repositoryFile } from './repository.ts';

/** Of the network between the machines; this process itself is at the first address. */
const NETWORK = '10.77.0';
export const HERE = `${NETWORK}.1`;
const BRIDGE = 'machines';
const CLOCK_SHIM = repositoryFile('test/support/shifted-clock.cjs');

export interface MachineOptions {
  readonly name: string;
  /** Last byte of its address, and of the name of its cable. */
  readonly place: number;
  /** Of its wall clock, before this process's. */
  readonly clockAheadMs: number;
  /** Since when it runs, by its monotonic clock. */
  readonly uptimeSeconds: number;
}

export interface RanThere {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** @returns why there can be no machines here, or null when there can. */
export function whyNoMachines(): string | null {
  const probe = spawnSync(
    'unshare',
    ['-n', '-T', '-u', 'sh', '-c', `ip link set lo up && ip link add ${BRIDGE} type bridge && nsenter -V`],
    { encoding: 'utf8' },
  );
  if (probe.status === 0) return null;
  return `no namespaces of networks and clocks: ${(probe.error?.message ?? probe.stderr).trim().slice(0, 200)}`;
}

/** Lays the network that machines are put on. Only in a namespace of this process's own. */
export function layNetwork(): void {
  ip('link', 'add', BRIDGE, 'type', 'bridge');
  ip('addr', 'add', `${HERE}/24`, 'dev', BRIDGE);
  ip('link', 'set', BRIDGE, 'up');
}

export class Machine {
  readonly name: string;
  readonly address: string;
  readonly #cable: string;
  readonly #environment: NodeJS.ProcessEnv;
  readonly #anchor: ChildProcess;
  readonly #pid: number;

  private constructor(
    { name, place, clockAheadMs }: MachineOptions,
    { anchor, pid }: { readonly anchor: ChildProcess; readonly pid: number },
  ) {
    this.name = name;
    this.address = addressOf(place);
    this.#cable = cableOf(place);
    this.#environment = { ...process.env, FORESHARD_TEST_CLOCK_AHEAD_MS: String(clockAheadMs) };
    this.#anchor = anchor;
    this.#pid = pid;
  }

  static async start(options: MachineOptions): Promise<Machine> {
    const { name, place, uptimeSeconds } = options;
    // Something has to live there for as long as the machine stands; it ends with this process.
    const shell = `hostname ${name} && ip link set lo up && echo $$ && exec cat`;
    const anchor = spawn(
      'unshare',
      [
        ...['-n', '-u', '-T', '--monotonic', String(uptimeSeconds), '--boottime', String(uptimeSeconds)],
        ...['--fork', '--kill-child', 'sh', '-c', shell],
      ],
      { stdio: ['pipe', 'pipe', 'inherit'] },
    );
    const [line] = await once(createInterface({ input: anchor.stdout }), 'line');
    const pid = Number(line);
    const cable = cableOf(place);
    ip('link', 'add', cable, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', String(pid));
    ip('link', 'set', cable, 'master', BRIDGE, 'up');
    const there = ['nsenter', '-t', String(pid), '-n', 'ip'];
    command([...there, 'addr', 'add', `${addressOf(place)}/24`, 'dev', 'eth0']);
    command([...there, 'link', 'set', 'eth0', 'up']);
    return new Machine(options, { anchor, pid });
  }

  /** @param nodeArguments of node, which runs there. */
  spawn(nodeArguments: readonly string[]): ChildProcess {
    const there = ['-t', String(this.#pid), '-n', '-u', '-T', process.execPath, '--require', CLOCK_SHIM];
    return spawn('nsenter', [...there, ...nodeArguments], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: this.#environment,
    });
  }

  async run(nodeArguments: readonly string[]): Promise<RanThere> {
    const child = this.spawn(nodeArguments);
    const said = { stdout: '', stderr: '' };
    for (const name of ['stdout', 'stderr'] as const)
      child[name]?.on('data', (bytes) => {
        said[name] += String(bytes);
      });
    const [status] = (await once(child, 'close')) as [number | null];
    return { status, ...said };
  }

  /** Pulls the cable out: packets are lost, and nobody is told. */
  cutOff(): void {
    ip('link', 'set', this.#cable, 'down');
  }

  plugIn(): void {
    ip('link', 'set', this.#cable, 'up');
  }

  stop(): void {
    this.#anchor.kill('SIGKILL');
  }
}

const addressOf = (place: number): string => `${NETWORK}.${place}`;
const cableOf = (place: number): string => `cable${place}`;
const ip = (...words: string[]): void => command(['ip', ...words]);

function command([program = '', ...words]: readonly string[]): void {
  const { status, stderr, error } = spawnSync(program, words, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${program} ${words.join(' ')}: ${error?.message ?? stderr}`);
}
