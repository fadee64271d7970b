import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { ForeshardError } from '../../../src/base/errors.ts';
import type { ControlBody, ControlReply, ControlRequest } from '../../host/control-messages.ts';
import type { ReadyMessage } from '../../host/parent-channel.ts';

/** A process that has not said "ready" by then never will: a machine under load takes seconds. */
const READY_MS_MAX = 60_000;
/** How long an orderly stop may take before the process is killed. */
const STOP_MS_MAX = 5_000;
/** Of each process's output, its last part is kept. */
const LOG_CHARACTERS_MAX = 64 * 1024;
const PAGE_BYTES = 4096;

interface OpenRequest {
  readonly resolve: (body: unknown) => void;
  readonly reject: (error: Error) => void;
  readonly timer: NodeJS.Timeout;
}

export interface ProcessOptions {
  readonly folder: string;
  readonly nodeFlags?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
}

/** A process of this package with a channel to it. It runs from the same kind of code as the caller: TypeScript, or `dist`. */
export class ControlledProcess {
  /** For errors, such as "node 3". */
  readonly name: string;
  readonly process: ChildProcess;
  /** Resolves with its first word when it does what it was started for. */
  readonly ready: Promise<ReadyMessage>;
  readonly #exited: Promise<void>;
  readonly #open = new Map<number, OpenRequest>();
  #nextRequest = 1;
  #hasExited = false;
  #log = '';

  /** @param words of the command line, such as `['agent', '--config', file]`. */
  constructor(name: string, words: readonly string[], options: ProcessOptions) {
    this.name = name;
    const { folder, nodeFlags = [], environment = {} } = options;
    const child = spawn(process.execPath, [...nodeFlags, ...loaderFlags(), commandLineEntry(), ...words], {
      cwd: folder,
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      serialization: 'advanced',
      env: { ...process.env, ...environment },
    });
    this.process = child;
    for (const stream of [child.stdout, child.stderr])
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.#log = (this.#log + text).slice(-LOG_CHARACTERS_MAX);
      });
    this.#exited = new Promise((resolve) => {
      child.once('close', () => resolve());
      child.once('error', () => resolve());
    });
    void this.#exited.then(() => this.#onExited());
    this.ready = this.#waitUntilReady();
  }

  get log(): string {
    return this.#log;
  }

  #waitUntilReady(): Promise<ReadyMessage> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(
        () => reject(this.#failure(`was not ready within ${READY_MS_MAX} ms`)),
        READY_MS_MAX,
      );
      this.process.on('message', (message: ReadyMessage | ControlReply) => {
        if (message.kind !== 'ready') {
          this.#onReply(message);
          return;
        }
        clearTimeout(timer);
        resolve(message);
      });
      void this.#exited.then(() => {
        clearTimeout(timer);
        reject(
          this.#failure(`ended with ${this.process.exitCode ?? this.process.signalCode} before it was ready`),
        );
      });
    });
  }

  control(body: ControlBody, timeoutMs: number): Promise<unknown> {
    return new Promise((resolve, reject) => {
      if (this.#hasExited) {
        reject(this.#failure('is not running'));
        return;
      }
      const id = this.#nextRequest++;
      const timer = setTimeout(() => {
        this.#open.delete(id);
        reject(this.#failure(`did not answer ${body.operation} within ${timeoutMs} ms`));
      }, timeoutMs);
      this.#open.set(id, { resolve, reject, timer });
      const request: ControlRequest = { kind: 'control', id, body };
      this.process.send(request, (error) => {
        if (error !== null) this.#settle(id)?.reject(error);
      });
    });
  }

  #settle(id: number): OpenRequest | undefined {
    const open = this.#open.get(id);
    this.#open.delete(id);
    clearTimeout(open?.timer);
    return open;
  }

  #onReply(reply: ControlReply): void {
    const open = this.#settle(reply.id);
    if (open === undefined) return;
    if (reply.kind === 'control-reply') open.resolve(reply.body);
    else open.reject(new Error(`${reply.code}: ${reply.message}`));
  }

  #onExited(): void {
    this.#hasExited = true;
    for (const id of [...this.#open.keys()]) this.#settle(id)?.reject(this.#failure('has ended'));
  }

  async kill(signal: NodeJS.Signals): Promise<void> {
    if (!this.#hasExited) this.process.kill(signal);
    await this.#exited;
  }

  async stop(): Promise<void> {
    if (this.#hasExited) return;
    // A stopped (SIGSTOP) process would never read the message, so it is woken first.
    this.process.kill('SIGCONT');
    if (this.process.connected) this.process.send({ kind: 'stop' }, () => {});
    const timer = setTimeout(() => this.process.kill('SIGKILL'), STOP_MS_MAX);
    await this.#exited;
    clearTimeout(timer);
  }

  #failure(what: string): ForeshardError {
    const lastWords = this.#log.trim().split('\n').slice(-15).join('\n');
    const detail = lastWords === '' ? '' : `; its last words:\n${lastWords}`;
    return new ForeshardError('FORESHARD_UNAVAILABLE', 'report', `${this.name} ${what}${detail}`);
  }
}

const isTypeScript = (): boolean => import.meta.url.endsWith('.ts');

function loaderFlags(): string[] {
  return isTypeScript() ? ['--import', import.meta.resolve('tsx')] : [];
}

function commandLineEntry(): string {
  return fileURLToPath(new URL(`../../operator/cli.${isTypeScript() ? 'ts' : 'js'}`, import.meta.url));
}

/** Resident memory of a process, bytes; 0 where the system does not tell. */
export function residentBytes(pid: number): number {
  try {
    return Number(readFileSync(`/proc/${pid}/statm`, 'latin1').split(' ')[1]) * PAGE_BYTES;
  } catch {
    return 0; // gone, or no /proc here
  }
}
