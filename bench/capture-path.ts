import type { Socket } from 'node:net';
import { Writable } from 'node:stream';
import type { QueryNodeHooks } from '../plugin/hooks.ts';
import { ConnectionCommands } from '../plugin/node/query/connection-commands.ts';
import { DEFAULT_COPY_READ_LIMITS } from '../plugin/node/query/copy-reads.ts';
import { ClientConnection, type ClientHost, OutputSlab } from '../plugin/node/query/query-client.ts';
import { newQueryCounters } from '../plugin/node/query/query-counters.ts';
import { Dispatcher } from '../plugin/node/query/query-dispatch.ts';
import { PendingPool } from '../plugin/node/query/query-pending.ts';
import { Router } from '../plugin/node/query/router.ts';
import type { StorageLink } from '../plugin/node/query/storage-links.ts';
import type { RpcClient } from '../plugin/rpc/client.ts';
import {
  DataReplyBatch,
  DataReplyReader,
  DataRequestBatch,
  DataRequestReader,
  STATUS_OK,
} from '../plugin/rpc/data.ts';
import { FRAME_HEADER_BYTES } from '../plugin/rpc/frames.ts';
import { Authentication } from '../plugin/security/authentication.ts';
import { FULL_ACCESS } from '../plugin/security/client-access.ts';
import { systemClock } from '../src/base/clock.ts';
import { seededRandom } from '../src/base/random.ts';
import { slotShift } from '../src/model/partition-map.ts';
import type { RoutingTable } from '../src/routing/routing-table.ts';
import { termOf } from './capture-sum.ts';

const PARTITION_COUNT = 256;
const NODE_COUNT = 8;
const CLIENT_COUNT = 50;
const QUERY_KINDS = 1_000;
const KEY_PREFIX_BYTES = 24;
/** `flight:{ATL}:` and twelve digits: one byte more than is captured. */
const KIND_DIGITS = 12;

/** Replies as the storage nodes send them, in frames, and what the capture of them must add up to. */
export interface PreparedReplies {
  readonly frames: readonly { readonly link: StorageLink; readonly payload: Buffer }[];
  readonly queryCount: number;
  /** What the consumer's sum becomes, given what it was. */
  checksumAfter(checksum: number): number;
}

/**
 * The query path of a query node as it runs in one, between two stubs: clients whose sockets swallow what they are sent, and
 * storage nodes that answer each GET with a value. Client bytes go through the parser, dispatcher and router; replies come
 * in frames to the router, which completes the queries.
 */
export class CapturePath {
  readonly #router: Router;
  readonly #dispatcher: Dispatcher;
  readonly #clients: ClientConnection[] = [];
  /** Requests of each client, each kind at one client. */
  readonly #inputs: Buffer[] = [];
  readonly #outputs = new Set<ClientConnection>();
  readonly #requests = new DataRequestReader();
  readonly #replies = new DataReplyReader();
  readonly #replyBatch = new DataReplyBatch(() => {});
  readonly #values: Buffer[] = [];
  #lsn = 0;
  /** Until each owner has answered its first query, which goes alone: what follows it is held so long. */
  #isProving = true;

  /** `hooks` are empty yet: the first round of queries, here, is nobody's to count. */
  constructor(hooks: QueryNodeHooks) {
    const pool = new PendingPool();
    const counters = newQueryCounters();
    this.#router = new Router(evenTable(), {
      pool,
      counters,
      clock: systemClock(),
      hooks,
      onHookFault: (hook, error) => {
        throw new Error(`the hook ${hook} failed`, { cause: error });
      },
      retryMs: 1_000,
      copyReads: DEFAULT_COPY_READ_LIMITS,
      clientIds: () => [],
      requestRefresh: () => {},
      onHeld: () => {
        if (!this.#isProving) throw new Error('a query was held: every storage node is connected');
      },
    });
    for (let nodeId = 0; nodeId < NODE_COUNT; nodeId++) {
      const rpc = { isConnected: true, requests: new DataRequestBatch(() => {}) };
      this.#router.onLinkUp(this.#router.addLink(nodeId, rpc as unknown as RpcClient));
    }
    const connectionCommands = new ConnectionCommands({
      authentication: new Authentication({ password: null, users: null }),
      onWrongPassword: () => {},
      clients: () => this.#clients.values(),
      nowMs: () => this.#router.nowMs,
      describe: () => '',
      config: () => [],
    });
    this.#dispatcher = new Dispatcher({ router: this.#router, pool, counters, connectionCommands });
    this.#connectClients({
      pool,
      onInput: (client) => void this.#dispatcher.run(client),
      onOutput: (client) => void this.#outputs.add(client),
      onBacklog: () => {},
      onDrained: () => {},
      onAccess: () => {},
      onClosed: () => {},
    });
    for (let replies = this.ask(); replies.queryCount > 0; replies = this.#takeRequests())
      this.complete(replies);
    this.flush();
    this.#isProving = false;
  }

  #connectClients(host: ClientHost): void {
    const random = seededRandom(7n);
    const slab = new OutputSlab();
    for (let i = 0; i < CLIENT_COUNT; i++) {
      const options = { valueBytesMax: 1 << 20, access: FULL_ACCESS, nowMs: 0, slab };
      this.#clients.push(new ClientConnection(i + 1, swallowingSocket(), host, options));
    }
    const inputs: string[] = new Array<string>(CLIENT_COUNT).fill('');
    for (let kind = 0; kind < QUERY_KINDS; kind++) {
      const airport = String.fromCharCode(...Array.from({ length: 3 }, () => 65 + random.nextBelow(26)));
      const key = `flight:{${airport}}:${String(kind).padStart(KIND_DIGITS - 1, '0')}x`;
      inputs[clientOf(kind)] += `*2\r\n$3\r\nGET\r\n$${key.length}\r\n${key}\r\n`;
      const value = 'x'.repeat(64 + (kind % 64));
      this.#values.push(Buffer.from(value));
    }
    this.#inputs.push(...inputs.map((input) => Buffer.from(input)));
  }

  /** Every client asks each of its kinds once, pipelined; the storage nodes have their answers ready. */
  ask(): PreparedReplies {
    this.#clients.forEach((client, i) => {
      this.#router.nowMs = performance.now();
      client.parser.feed(this.#inputs[i]);
      if (!this.#dispatcher.run(client)) throw new Error('a client had to wait');
    });
    return this.#takeRequests();
  }

  #takeRequests(): PreparedReplies {
    const frames: { link: StorageLink; payload: Buffer }[] = [];
    const terms: number[] = [];
    for (const link of this.#router.links.byId.values())
      for (const frame of link.rpc.requests.takeFrames())
        for (const payload of this.#answer(frame.subarray(FRAME_HEADER_BYTES), link.nodeId, terms))
          frames.push({ link, payload });
    return {
      frames,
      queryCount: terms.length,
      checksumAfter: (checksum) => terms.reduce((sum, term) => (Math.imul(sum, 31) + term) | 0, checksum),
    };
  }

  #answer(payload: Buffer, nodeId: number, terms: number[]): Buffer[] {
    const requests = this.#requests;
    const replies = this.#replyBatch;
    requests.open(payload);
    for (let start = 0; requests.next(); start = requests.offset) {
      const key = payload.subarray(requests.starts[0], requests.ends[0]);
      const kind = Number(key.toString('latin1', key.length - KIND_DIGITS, key.length - 1));
      const value = this.#values[kind];
      replies.begin(requests.requestId, STATUS_OK, requests.epoch, ++this.#lsn);
      replies.bulk(value);
      replies.end();
      const replyBytes = `$${value.length}\r\n`.length + value.length + 2;
      terms.push(
        termOf({
          partitionId: this.#router.partitionOf(key, 0, key.length),
          nodeId,
          clientId: this.#clients[clientOf(kind)].id,
          requestBytes: requests.offset - start,
          replyBytes,
          lastKeyByte: key[KEY_PREFIX_BYTES - 1],
        }),
      );
    }
    return replies.takeFrames().map((frame) => frame.subarray(FRAME_HEADER_BYTES));
  }

  /** What a query node does when reply frames come in. The part that is measured. */
  complete({ frames }: PreparedReplies): void {
    const replies = this.#replies;
    for (const { link, payload } of frames) {
      replies.open(payload);
      this.#router.onReplies(link, replies);
    }
  }

  /** Writes the replies to the clients, as the node does at the end of an event-loop turn. */
  flush(): void {
    for (const client of this.#outputs) client.flush();
    this.#outputs.clear();
    if (this.#router.completion.inFlightBytes !== 0) throw new Error('a query was not answered');
  }
}

const clientOf = (kind: number): number => kind % CLIENT_COUNT;

function evenTable(): RoutingTable {
  return {
    partitionCount: PARTITION_COUNT,
    slotShift: slotShift(PARTITION_COUNT),
    ownerOf: Int32Array.from({ length: PARTITION_COUNT }, (_, p) => p % NODE_COUNT),
    epochOf: new Uint32Array(PARTITION_COUNT).fill(1),
    readTargetOf: new Int32Array(PARTITION_COUNT).fill(-1),
    readMigrationOf: new Uint32Array(PARTITION_COUNT),
    readWeightOf: new Float32Array(PARTITION_COUNT),
    lineageEpochOf: new Uint32Array(PARTITION_COUNT),
    lineageLsnOf: new Float64Array(PARTITION_COUNT),
    busyNodes: new Set(),
    movedNodes: new Set(),
  };
}

function swallowingSocket(): Socket {
  const sink = new Writable({
    write: (_chunk, _encoding, done) => done(),
    writev: (_chunks, done) => done(),
  });
  return Object.assign(sink, { setNoDelay: () => sink }) as unknown as Socket;
}
