/**
 * A cluster of three machines, each a namespace with an address and clocks of its own, and a fourth with etcd, the query node and
 * clients: what docs/deployment.md tells an operator to do, in that order. Prints one JSON object; `several-machines.test.ts` runs it,
 * and judges.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { clusterKeys } from '../../plugin/metadata/cluster-keys.ts';
import { loadMap } from '../../plugin/metadata/cluster-map.ts';
import { openEtcdMetadata } from '../../plugin/metadata/etcd/etcd-metadata.ts';
import { LocalEtcd } from '../../plugin/node/local/local-etcd.ts';
import type { ClusterStatus } from '../../plugin/operator/status/gather-status.ts';
import type { MetadataStore } from '../../src/ports/metadata-store.ts';
import { HERE, layNetwork, Machine, type RanThere } from '../support/machines.ts';
import { foreshardArguments } from '../support/repository.ts';
import { CLUSTER, keysOf, NumberedWrites, openMigration, sleep, until } from '../support/scenario.ts';
import { assertOwnNamespace } from './faults/packet-faults.ts';

const PARTITION_COUNT = 16;
const CLIENT_PORT = 6380;
const PEER_PORT = 7400;
/** Shorter than what a node is away for before its queries are refused. */
const CUT_MS = 1_500;

/** Clocks differ by more than any that NTP keeps, and machines have been up for an hour, for a year and for a minute. */
const MACHINES = [
  { name: 'db-0', place: 10, clockAheadMs: 8_000, uptimeSeconds: 3_600 },
  { name: 'db-1', place: 11, clockAheadMs: -8_000, uptimeSeconds: 31_536_000 },
  { name: 'db-2', place: 12, clockAheadMs: 60_000, uptimeSeconds: 60 },
] as const;

export interface MachinesReport {
  /** Of `foreshard status`, once two machines had formed the cluster and once the third had joined. */
  readonly formed: Pick<ClusterStatus, 'nodes' | 'alarms'>;
  readonly joined: Pick<ClusterStatus, 'nodes' | 'alarms'>;
  /** The third machine before `foreshard join`. */
  readonly uninvited: Pick<RanThere, 'status' | 'stderr'>;
  /** A third machine whose certificate is of another authority. */
  readonly stranger: string;
  readonly ownersAfterMoves: readonly number[];
  /** Whether the migration that the cut struck ended with the new owner. */
  readonly hasMovedThroughCut: boolean;
  readonly drained: RanThere;
  readonly removed: RanThere;
  readonly verified: RanThere;
  /** Who gave the orders, by the audit. */
  readonly orderedBy: readonly string[];
  readonly acknowledged: number;
  readonly failedWrites: number;
  readonly lost: readonly string[];
  /** Exit codes at SIGTERM. */
  readonly ends: readonly (number | null)[];
}

const tell = (what: string): void => {
  if (process.env.FORESHARD_TEST_LOUD === '1')
    process.stderr.write(`${Math.round(performance.now())} ms: ${what}\n`);
};

/** What runs, for the end. */
const processes: ChildProcess[] = [];
const machines: Machine[] = [];

async function main(): Promise<void> {
  assertOwnNamespace();
  layNetwork();
  const folder = mkdtempSync(join(tmpdir(), 'foreshard-machines-'));
  const etcd = await LocalEtcd.start({ host: HERE });
  const metadata = openEtcdMetadata({ endpoints: etcd.endpoints, requestTimeoutMs: 1_000 });
  try {
    for (const options of MACHINES) machines.push(await Machine.start(options));
    console.log(JSON.stringify(await play(folder, { endpoints: etcd.endpoints, metadata })));
  } finally {
    for (const child of processes) child.kill('SIGKILL');
    await metadata.close();
    await etcd.close();
    for (const machine of machines) machine.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

async function play(
  folder: string,
  { endpoints, metadata }: { readonly endpoints: readonly string[]; readonly metadata: MetadataStore },
): Promise<MachinesReport> {
  const place = new Place(folder, endpoints);
  const [db0, db1, db2] = machines as [Machine, Machine, Machine];
  const certs = await place.operate('certs', '--out', join(folder, 'certs'));
  if (certs.status !== 0) throw new Error(certs.stderr);
  for (const [nodeId, machine] of [db0, db1].entries()) place.startStorage(machine, nodeId);
  place.startQuery();
  const formed = await place.statusWith(3);
  tell('formed');

  const client = new Redis({ port: CLIENT_PORT });
  const writes = new NumberedWrites(
    client,
    [1, 9].flatMap((partitionId) => keysOf(partitionId, { partitionCount: PARTITION_COUNT, count: 3 })),
  );
  try {
    place.storageNodeCount = 3;
    await place.operate('certs', '--out', join(folder, 'certs'));
    tell('certs again');
    const uninvited = await db2.run(place.storageArguments(db2, 2));
    tell('uninvited');
    await place.operate('certs', '--out', join(folder, 'strangers'));
    const stranger = await place.askAsStranger(db2);
    tell('stranger');
    await place.operate('join', '2', '--reason', 'more room');
    place.startStorage(db2, 2);
    const joined = await place.statusWith(4);

    tell('joined');
    await moved(metadata, { partitionId: 1, targetNodeId: 2 });
    tell('moved');
    const hasMovedThroughCut = await cutWhileMoving(metadata, db2, { partitionId: 9, targetNodeId: 2 });
    const ownersAfterMoves = [...(await loadMap(metadata, CLUSTER)).map.ownerOf];
    tell('cut');
    // From a machine of another clock: the order is carried out, and says who gave it.
    const drained = await db1.run(
      place.operatorArguments(db1, 'drain', '2', '--wait', '--reason', 'old machine'),
    );
    tell('drained');
    const stopped = place.end(2);
    const removed = await place.operate('remove', '2', '--yes', '--reason', 'old machine');
    const verified = await place.operate('verify', '--all');
    await writes.end();
    tell('verified');
    const lost = await writes.findLost();
    client.disconnect();
    const ends = [await stopped, await place.end('query'), await place.end(0), await place.end(1)];
    return {
      ...{ formed, joined, uninvited, stranger, ownersAfterMoves, hasMovedThroughCut },
      ...{ drained, removed, verified, lost, ends, orderedBy: await orderedBy(metadata) },
      acknowledged: writes.acknowledgedCount,
      failedWrites: writes.failedCount,
    };
  } finally {
    client.disconnect();
  }
}

/** Folders, config files and certificates of all machines, and what runs on them. */
class Place {
  storageNodeCount = 2;
  readonly #folder: string;
  readonly #endpoints: readonly string[];
  readonly #running = new Map<number | 'query', ChildProcess>();

  constructor(folder: string, endpoints: readonly string[]) {
    this.#folder = folder;
    this.#endpoints = endpoints;
  }

  startStorage(machine: Machine, nodeId: number): void {
    this.#watch(nodeId, machine.spawn(this.storageArguments(machine, nodeId)));
  }

  /** Only its own pair and the authority's certificate are brought to a machine. */
  storageArguments(machine: Machine, nodeId: number): string[] {
    const security = this.#security(machine.name, `storage-${nodeId}`);
    const node = {
      ...{ role: 'storage', id: nodeId, peerListen: `0.0.0.0:${PEER_PORT}`, zone: machine.name },
      ...{ advertiseHost: machine.address, dataDir: join(this.#folder, machine.name, 'data') },
    };
    return foreshardArguments('node', '--config', this.#write(machine.name, 'node', { node, security }));
  }

  startQuery(): void {
    const security = this.#security(hostname(), 'query-10000');
    const node = { role: 'query', id: 10_000, clientListen: `127.0.0.1:${CLIENT_PORT}`, advertiseHost: HERE };
    const file = this.#write(hostname(), 'node', { node, security });
    const child = spawn(process.execPath, foreshardArguments('node', '--config', file), {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#watch('query', child);
  }

  /** A command of an operator, here. */
  async operate(...words: string[]): Promise<RanThere> {
    const child = spawn(
      process.execPath,
      foreshardArguments(...words, '--config', this.#operator(hostname())),
    );
    const said = { stdout: '', stderr: '' };
    for (const name of ['stdout', 'stderr'] as const)
      child[name].on('data', (bytes) => {
        said[name] += String(bytes);
      });
    return new Promise((resolve) => child.once('close', (status) => resolve({ status, ...said })));
  }

  operatorArguments(machine: Machine, ...words: string[]): string[] {
    return foreshardArguments(...words, '--config', this.#operator(machine.name));
  }

  /** What `foreshard status` says once so many nodes are alive. */
  async statusWith(nodeCount: number): Promise<ClusterStatus> {
    let last = '';
    for (const deadlineMs = performance.now() + 25_000; performance.now() < deadlineMs; await sleep(200)) {
      const { stdout, stderr } = await this.operate('status', '--json');
      last = stdout + stderr;
      const status = stdout === '' ? null : (JSON.parse(stdout) as Partial<ClusterStatus>);
      const alive = status?.nodes?.filter(({ state }) => state === 'alive') ?? [];
      if (alive.length === nodeCount && status?.coordinator?.state === 'leading')
        return status as ClusterStatus;
    }
    throw new Error(`not ${nodeCount} nodes: ${last}`);
  }

  /** `verify` with certificates of another authority, from one machine to the node of another. @returns what it says. */
  async askAsStranger(from: Machine): Promise<string> {
    const security = securityIn(join(this.#folder, 'strangers'), 'operator');
    const file = this.#write(from.name, 'stranger', { security });
    const { stdout, stderr } = await from.run(foreshardArguments('verify', '0', '--config', file));
    return stdout + stderr;
  }

  /** SIGTERM. @returns its exit code. */
  end(who: number | 'query'): Promise<number | null> {
    const child = this.#running.get(who) as ChildProcess;
    const ended = new Promise<number | null>((resolve) => child.once('exit', resolve));
    child.kill('SIGTERM');
    return ended;
  }

  #operator(machineName: string): string {
    return this.#write(machineName, 'operator', { security: this.#security(machineName, 'operator') });
  }

  #security(machineName: string, certificate: string): object {
    const own = join(this.#folder, machineName, certificate);
    mkdirSync(own, { recursive: true });
    for (const name of ['authority.pem', `${certificate}.pem`, `${certificate}.key`])
      try {
        copyFileSync(join(this.#folder, 'certs', name), join(own, name));
      } catch {
        // Before there are certificates: `certs` itself needs none.
        return {};
      }
    return securityIn(own, certificate);
  }

  #write(machineName: string, name: string, own: object): string {
    const file = join(this.#folder, machineName, `${name}.json`);
    const config = {
      cluster: { partitionCount: PARTITION_COUNT, storageNodeCount: this.storageNodeCount },
      metadata: { kind: 'etcd', endpoints: this.#endpoints },
      analyzer: { stateDir: join(this.#folder, machineName, 'analyzer') },
      migration: { readWeightSteps: [1], readWeightHoldMs: 100, graceMs: 200, residenceMs: 0 },
      ...own,
    };
    mkdirSync(join(this.#folder, machineName), { recursive: true });
    writeFileSync(file, JSON.stringify(config));
    return file;
  }

  #watch(who: number | 'query', child: ChildProcess): void {
    processes.push(child);
    this.#running.set(who, child);
    for (const stream of [child.stdout, child.stderr])
      stream?.on('data', (bytes) => {
        if (process.env.FORESHARD_TEST_LOUD === '1') process.stderr.write(`${who}: ${bytes}`);
      });
  }
}

const securityIn = (folder: string, certificate: string): object => ({
  peerAuthorityFile: join(folder, 'authority.pem'),
  peerCertificateFile: join(folder, `${certificate}.pem`),
  peerKeyFile: join(folder, `${certificate}.key`),
});

async function moved(
  metadata: MetadataStore,
  move: { readonly partitionId: number; readonly targetNodeId: number },
): Promise<void> {
  await openMigration(metadata, move);
  await until(async () => (await ended(metadata, move.partitionId)) === move.targetNodeId, 'it has moved');
}

/** The cable is pulled as soon as a copy is made, and put back. @returns whether the target owns it in the end. */
async function cutWhileMoving(
  metadata: MetadataStore,
  machine: Machine,
  move: { readonly partitionId: number; readonly targetNodeId: number },
): Promise<boolean> {
  await openMigration(metadata, move);
  machine.cutOff();
  await sleep(CUT_MS);
  machine.plugIn();
  await until(async () => (await ended(metadata, move.partitionId)) !== null, 'the migration ends', 60_000);
  return (await ended(metadata, move.partitionId)) === move.targetNodeId;
}

/** @returns the owner; null while it is on its way. */
async function ended(metadata: MetadataStore, partitionId: number): Promise<number | null> {
  const record = (await loadMap(metadata, CLUSTER)).records[partitionId];
  return record == null || record.migration !== null ? null : record.ownerNodeId;
}

async function orderedBy(metadata: MetadataStore): Promise<string[]> {
  const { entries } = await metadata.list(clusterKeys(CLUSTER).auditPrefix);
  return entries.map(({ value }) => {
    const { action, by } = JSON.parse(new TextDecoder().decode(value)) as { action: string; by: string };
    return `${action} ${by.replace(/^.*@/, '')}`;
  });
}

await main();
