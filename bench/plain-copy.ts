import { type ChildProcess, fork } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { open } from 'lmdb';
import { decodeEntries } from '../plugin/engines/migration-agent/migration-messages.ts';
import { RpcClient } from '../plugin/rpc/client.ts';

/** The baseline of migrations: a loop that asks another process for pieces and commits each, synced, to an LMDB of its own. */
export class PlainCopy {
  readonly #folder: string;
  readonly #child: ChildProcess;
  readonly #client: RpcClient;
  #round = 0;

  private constructor(folder: string, child: ChildProcess, port: number) {
    this.#folder = folder;
    this.#child = child;
    this.#client = new RpcClient({
      identity: { clusterId: 'plain', nodeId: 1, role: 'storage' },
      address: () => ({ host: '127.0.0.1', port }),
      peerNodeId: 0,
    });
  }

  static async start(size: { readonly entryCount: number; readonly valueBytes: number }): Promise<PlainCopy> {
    const folder = mkdtempSync(join(tmpdir(), 'foreshard-bench-copy-'));
    const extension = import.meta.url.endsWith('.ts') ? '.ts' : '.js';
    const path = fileURLToPath(new URL(`./plain-copy-source${extension}`, import.meta.url));
    const child = fork(path, [join(folder, 'source'), String(size.entryCount), String(size.valueBytes)], {
      execArgv: extension === '.ts' ? ['--import', import.meta.resolve('tsx')] : [],
    });
    const port = await new Promise<number>((resolve, reject) => {
      child.once('message', (message: { port: number }) => resolve(message.port));
      child.once('exit', (code) => reject(new Error(`the source of the plain copy ended with ${code}`)));
    });
    return new PlainCopy(folder, child, port);
  }

  get sourcePid(): number {
    return this.#child.pid as number;
  }

  /** @returns bytes of keys and values, and how long they took. */
  async copy(pieceBytes: number): Promise<{ readonly bytes: number; readonly tookMs: number }> {
    const target = open<Uint8Array, Uint8Array>({
      path: join(this.#folder, `target-${this.#round++}`),
      encoding: 'binary',
      keyEncoding: 'binary',
      overlappingSync: false,
    });
    let bytes = 0;
    const startMs = performance.now();
    for (let cursor: Uint8Array | null = null; ; ) {
      const { bulk } = await this.#client.control(
        'piece',
        { cursor, bytesMax: pieceBytes },
        { timeoutMs: 30_000 },
      );
      const entries = bulk === undefined ? [] : decodeEntries(bulk);
      const last = entries.at(-1);
      if (last === undefined) break;
      target.transactionSync(() => {
        for (const entry of entries)
          if (entry.kind === 'put') {
            target.putSync(entry.key, entry.value);
            bytes += entry.key.length + entry.value.length;
          }
      });
      cursor = last.key;
    }
    const tookMs = performance.now() - startMs;
    await target.close();
    return { bytes, tookMs };
  }

  async close(): Promise<void> {
    this.#client.close();
    if (this.#child.exitCode === null) {
      const ended = new Promise((resolve) => this.#child.once('exit', resolve));
      this.#child.disconnect();
      await ended;
    }
    rmSync(this.#folder, { recursive: true, force: true, maxRetries: 3 });
  }
}
