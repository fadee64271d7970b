import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { commandIndexOf } from '../../../../plugin/commands/table.ts';
import { LmdbEngine, type LmdbEngineOptions } from '../../../../plugin/engines/lmdb/engine.ts';
import type { ReplyChannel } from '../../../../plugin/engines/lmdb/group-commit.ts';
import {
  DataReplyBatch,
  DataReplyReader,
  DataRequestBatch,
  REQUEST_FLAG_COPY,
  REQUEST_FLAG_RESP3,
} from '../../../../plugin/rpc/data.ts';
import { FRAME_HEADER_BYTES } from '../../../../plugin/rpc/frames.ts';
import { type Clock, VirtualClock } from '../../../../src/base/clock.ts';
import { keySlot } from '../../../../src/routing/key-slot.ts';

export const PARTITION_COUNT = 16;

export interface Reply {
  readonly status: number;
  readonly epoch: number;
  readonly lsn: number;
  /** RESP, latin1. */
  readonly text: string;
}

export interface RequestOptions {
  readonly epoch?: number;
  readonly isResp3?: boolean;
  readonly isCopyRead?: boolean;
  readonly minLsn?: number;
  /** Of a read at a copy; default none. */
  readonly migrationId?: number;
  /** Default: that of the first argument as a key. */
  readonly partitionId?: number;
}

export const partitionOfKey = (key: string | Buffer): number => {
  const bytes = Buffer.from(key);
  return keySlot(bytes, 0, bytes.length) >> 10;
};

/** What a query node is to the engine: it sends frames of requests and gets frames of replies; no sockets. */
export class EngineClient implements ReplyChannel {
  readonly replies = new DataReplyBatch(() => {});
  isOpen = true;
  /** Replies that may wait before the channel counts as congested; `flush` keeps them while `isReading` is false. */
  unsentBytesMax = Number.POSITIVE_INFINITY;
  isReading = true;
  readonly #engine: LmdbEngine;
  readonly #open = new Map<number, (reply: Reply) => void>();
  readonly #requests = new DataRequestBatch(() => {});
  #requestId = 0;
  /** Request ids in the order of their replies. */
  readonly answered: number[] = [];

  constructor(engine: LmdbEngine) {
    this.#engine = engine;
  }

  /** Adds a request to the frame that `send` sends. */
  request(command: readonly (string | Buffer)[], options: RequestOptions = {}): Promise<Reply> {
    const [name, ...rest] = command;
    const parts = rest.map((part) => (typeof part === 'string' ? Buffer.from(part, 'latin1') : part));
    const requestId = ++this.#requestId;
    const flags = (options.isResp3 ? REQUEST_FLAG_RESP3 : 0) | (options.isCopyRead ? REQUEST_FLAG_COPY : 0);
    const partitionId = options.partitionId ?? partitionOfKey(parts[0]);
    const argumentBytes = parts.reduce((sum, part) => sum + 4 + part.length, 0);
    this.#requests.begin(
      requestId,
      partitionId,
      commandIndexOf(String(name)),
      flags,
      options.epoch ?? 1,
      options.minLsn ?? 0,
      parts.length,
      argumentBytes,
      options.migrationId ?? 0,
    );
    for (const part of parts) this.#requests.argument(part, 0, part.length);
    this.#requests.end();
    return new Promise((resolve) => this.#open.set(requestId, resolve));
  }

  send(): void {
    for (const frame of this.#requests.takeFrames())
      this.#engine.requests.receive(this, Buffer.from(frame.subarray(FRAME_HEADER_BYTES)));
  }

  /** One request in a frame of its own. */
  call(command: readonly (string | Buffer)[], options: RequestOptions = {}): Promise<Reply> {
    const reply = this.request(command, options);
    this.send();
    return reply;
  }

  /** The RESP text of the reply to one command. */
  async ask(...command: (string | Buffer)[]): Promise<string> {
    return (await this.call(command)).text;
  }

  get isCongested(): boolean {
    return this.replies.untakenBytes > this.unsentBytesMax;
  }

  flush(): void {
    if (!this.isReading) return;
    const reader = new DataReplyReader();
    for (const frame of this.replies.takeFrames()) {
      reader.open(Buffer.from(frame.subarray(FRAME_HEADER_BYTES)));
      while (reader.next()) {
        const resolve = this.#open.get(reader.requestId);
        this.#open.delete(reader.requestId);
        this.answered.push(reader.requestId);
        resolve?.({
          status: reader.status,
          epoch: reader.epoch,
          lsn: reader.lsn,
          text: reader.payload.toString('latin1', reader.replyStart, reader.replyEnd),
        });
      }
    }
  }
}

/** Everything a test of the engine opens; `close` in after.each. */
export class EngineBench {
  readonly folder = mkdtempSync(join(tmpdir(), 'foreshard-engine-'));
  readonly #open = new Set<LmdbEngine>();

  async open(
    options: Partial<LmdbEngineOptions> & { name?: string; clock?: Clock } = {},
  ): Promise<LmdbEngine> {
    const { name = 'store', clock = new VirtualClock(1_700_000_000_000), ...rest } = options;
    const engine = await LmdbEngine.open(
      { path: join(this.folder, name), partitionCount: PARTITION_COUNT, reserveBytes: 0, ...rest },
      { clock },
    );
    this.#open.add(engine);
    return engine;
  }

  async closeEngine(engine: LmdbEngine): Promise<void> {
    this.#open.delete(engine);
    await engine.close();
  }

  async close(): Promise<void> {
    for (const engine of this.#open) await engine.close();
    rmSync(this.folder, { recursive: true });
  }
}

/** Makes a node the owner of every partition, at epoch 1. */
export async function ownAll(engine: LmdbEngine): Promise<void> {
  for (let p = 0; p < PARTITION_COUNT; p++)
    await engine.store.updateMeta(p, (meta) => ({ ...meta, role: 'OWNER', epoch: 1, epochMax: 1 }));
}
