import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

export const hasRedisServer = (): boolean => spawnSync('redis-server', ['--version']).status === 0;

/** Where the RESP value that starts at `offset` ends, or -1 while it is not whole. */
function endOfReply(text: string, offset: number): number {
  const lineEnd = text.indexOf('\r\n', offset);
  if (lineEnd === -1) return -1;
  const mark = text[offset];
  const count = Number(text.slice(offset + 1, lineEnd));
  let end = lineEnd + 2;
  if (mark === '$') return count < 0 ? end : end + count + 2 <= text.length ? end + count + 2 : -1;
  if (mark !== '*' && mark !== '%' && mark !== '~') return end;
  for (let left = mark === '%' ? count * 2 : count; left > 0; left--) {
    end = endOfReply(text, end);
    if (end === -1) return -1;
  }
  return end;
}

/** A real redis-server, on a socket file of its own, that keeps nothing. */
export class RedisServer {
  readonly #folder = mkdtempSync(join(tmpdir(), 'foreshard-redis-'));
  readonly #process = spawn(
    'redis-server',
    ['--port', '0', '--unixsocket', join(this.#folder, 'sock'), '--save', '', '--dir', this.#folder],
    { stdio: 'ignore' },
  );
  #socket!: Socket;
  #text = '';
  #onText = (): void => {};

  static async start(): Promise<RedisServer> {
    const server = new RedisServer();
    for (let attempt = 0; ; attempt++) {
      const socket = connect(join(server.#folder, 'sock'));
      try {
        await once(socket, 'connect');
        server.#socket = socket;
        break;
      } catch (error) {
        if (attempt > 200) throw error;
        await sleep(10);
      }
    }
    server.#socket.on('data', (chunk) => {
      server.#text += chunk.toString('latin1');
      server.#onText();
    });
    return server;
  }

  /** Sends commands in one go. @returns the replies as RESP, latin1. */
  async pipeline(commands: readonly (readonly (string | Buffer)[])[]): Promise<string[]> {
    const parts: Buffer[] = [];
    for (const command of commands) {
      parts.push(Buffer.from(`*${command.length}\r\n`));
      for (const argument of command) {
        const bytes = typeof argument === 'string' ? Buffer.from(argument, 'latin1') : argument;
        parts.push(Buffer.from(`$${bytes.length}\r\n`), bytes, Buffer.from('\r\n'));
      }
    }
    this.#socket.write(Buffer.concat(parts));
    const replies: string[] = [];
    let offset = 0;
    while (replies.length < commands.length) {
      const end = endOfReply(this.#text, offset);
      if (end === -1)
        await new Promise<void>((resolve) => {
          this.#onText = resolve;
        });
      else {
        replies.push(this.#text.slice(offset, end));
        offset = end;
      }
    }
    this.#text = this.#text.slice(offset);
    return replies;
  }

  async close(): Promise<void> {
    this.#socket.destroy();
    const exited = once(this.#process, 'exit');
    this.#process.kill('SIGKILL');
    await exited;
    rmSync(this.#folder, { recursive: true });
  }
}
