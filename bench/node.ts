import { createHash } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import { commandIndexOf } from '../plugin/commands/table.ts';
import { LocalCluster } from '../plugin/node/local/local-cluster.ts';
import { RpcClient } from '../plugin/rpc/client.ts';
import type { PeerIdentity } from '../plugin/rpc/connection.ts';
import { DataReplyReader, DataRequestReader, STATUS_OK } from '../plugin/rpc/data.ts';
import { RpcServer } from '../plugin/rpc/server.ts';
import { median } from './median.ts';
import type { BenchOutcome, BenchResult } from './types.ts';

export const area = 'node';

const CONNECTIONS = 8;
const DEPTH = 16;
const KEY_COUNT = 1_000;
const VALUE_BYTES = 64;

/**
 * GET and SET through the real processes, against `rpc-echo`: the same number of requests over our own frames to a server in
 * this process that answers at once. The difference is RESP, routing, the second process and the store.
 */
export async function run({ isSmall }: { isSmall: boolean }): Promise<BenchOutcome> {
  const operations = isSmall ? 4_000 : 80_000;
  const rounds = isSmall ? 1 : 5;
  const storageNodeCount = isSmall ? 1 : 2;
  const echo = await RpcEcho.start();
  let cluster: LocalCluster | undefined;
  const load: RespLoad[] = [];
  try {
    cluster = await LocalCluster.start({ storageNodeCount, partitionCount: 256 });
    for (let i = 0; i < CONNECTIONS; i++) load.push(await RespLoad.connect(cluster.port));
    const results: BenchResult[] = [];
    for (const command of ['SET', 'GET'] as const) {
      const ours: number[] = [];
      const theirs: number[] = [];
      let digest = '';
      for (let round = 0; round < rounds; round++) {
        const each = operations / CONNECTIONS;
        const startedMs = performance.now();
        const digests = await Promise.all(load.map((connection, i) => connection.play(command, each, i)));
        ours.push((operations / (performance.now() - startedMs)) * 1000);
        digest = digests.join();
        theirs.push(await echo.play(operations));
      }
      const value = median(ours);
      const baselineValue = median(theirs);
      results.push({
        name: `node ${command}`,
        metric: 'throughput',
        value,
        unit: '1/s',
        baseline: 'rpc-echo',
        baselineValue,
        ratio: value / baselineValue,
        settings: {
          connections: CONNECTIONS,
          depth: DEPTH,
          operations,
          rounds,
          storageNodeCount,
          valueBytes: VALUE_BYTES,
        },
        hash: createHash('sha256').update(digest).digest('hex').slice(0, 8),
      });
    }
    return { results, skipped: [] };
  } finally {
    for (const connection of load) connection.close();
    await cluster?.stop();
    await echo.close();
  }
}

const keyOf = (i: number): string => `bench:${String(i % KEY_COUNT).padStart(6, '0')}`;
const valueAt = (i: number): string => String(i % KEY_COUNT).padStart(VALUE_BYTES, 'v');

/** One client that keeps DEPTH commands on their way. Replies have a known length, so that counting bytes is enough. */
class RespLoad {
  readonly #socket: Socket;
  #onBytes: (chunk: Buffer) => void = () => {};

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.on('data', (chunk) => this.#onBytes(chunk));
  }

  static connect(port: number): Promise<RespLoad> {
    return new Promise((resolve, reject) => {
      const socket = connect(port, '127.0.0.1', () => resolve(new RespLoad(socket)));
      socket.once('error', reject);
    });
  }

  /** @returns a digest of all reply bytes. */
  play(command: 'SET' | 'GET', count: number, offset: number): Promise<string> {
    const replyBytes = command === 'SET' ? '+OK\r\n'.length : `$${VALUE_BYTES}\r\n\r\n`.length + VALUE_BYTES;
    const digest = createHash('sha256');
    let sent = 0;
    let received = 0;
    return new Promise((resolve) => {
      const sendBatch = (): void => {
        let text = '';
        for (let i = 0; i < DEPTH && sent < count; i++, sent++) {
          const key = keyOf(sent * CONNECTIONS + offset);
          const value = valueAt(sent * CONNECTIONS + offset);
          text +=
            command === 'SET'
              ? `*3\r\n$3\r\nSET\r\n$${key.length}\r\n${key}\r\n$${VALUE_BYTES}\r\n${value}\r\n`
              : `*2\r\n$3\r\nGET\r\n$${key.length}\r\n${key}\r\n`;
        }
        this.#socket.write(text, 'latin1');
      };
      this.#onBytes = (chunk) => {
        digest.update(chunk);
        received += chunk.length;
        if (received === count * replyBytes) resolve(digest.digest('hex'));
        else if (received === sent * replyBytes) sendBatch();
      };
      sendBatch();
    });
  }

  close(): void {
    this.#socket.destroy();
  }
}

/** Our frames, there and back, and nothing else. */
class RpcEcho {
  readonly #server: RpcServer;
  readonly #client: RpcClient;
  #onReply = (): void => {};

  private constructor(server: RpcServer) {
    this.#server = server;
    const replies = new DataReplyReader();
    this.#client = new RpcClient(
      { identity: identity(10_000, 'query'), address: () => ({ host: '127.0.0.1', port: server.port }) },
      {
        onDataReply: (payload) => {
          replies.open(payload);
          while (replies.next()) this.#onReply();
        },
      },
    );
  }

  static async start(): Promise<RpcEcho> {
    const requests = new DataRequestReader();
    const server = new RpcServer(
      { identity: identity(0, 'storage'), port: 0 },
      {
        onControl: async () => ({ body: {} }),
        onData(connection, payload) {
          requests.open(payload);
          while (requests.next()) {
            connection.replies.begin(requests.requestId, STATUS_OK, requests.epoch, 1);
            connection.replies.bulk(payload, requests.starts[1], requests.ends[1]);
            connection.replies.end();
          }
        },
      },
    );
    await server.listen();
    const echo = new RpcEcho(server);
    await echo.#client.control('ready');
    return echo;
  }

  /** @returns requests a second, CONNECTIONS * DEPTH of them on their way at a time. */
  play(count: number): Promise<number> {
    const set = commandIndexOf('SET');
    let sent = 0;
    let received = 0;
    const send = (): void => {
      const key = Buffer.from(keyOf(sent));
      const value = Buffer.from(valueAt(sent));
      const { requests } = this.#client;
      requests.begin(sent++, 0, set, 0, 1, 0, 2, 8 + key.length + value.length);
      requests.argument(key, 0, key.length);
      requests.argument(value, 0, value.length);
      requests.end();
    };
    const startedMs = performance.now();
    return new Promise((resolve) => {
      this.#onReply = () => {
        received++;
        if (received === count) resolve((count / (performance.now() - startedMs)) * 1000);
        else if (sent < count) send();
      };
      for (let i = 0; i < CONNECTIONS * DEPTH && sent < count; i++) send();
    });
  }

  async close(): Promise<void> {
    await this.#client.close();
    await this.#server.close();
  }
}

const identity = (nodeId: number, role: PeerIdentity['role']): PeerIdentity => ({
  clusterId: 'bench',
  nodeId,
  role,
});
