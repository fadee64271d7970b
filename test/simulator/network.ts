import type { MigrationTransport } from '../../plugin/engines/migration-agent/migration-transport.ts';
import type { ControlReply } from '../../plugin/hooks.ts';
import { ForeshardError } from '../../src/base/errors.ts';
import type { Random } from '../../src/base/random.ts';
import type { SimClock } from './clock.ts';
import type { Life } from './life.ts';
import type { Rates } from './scenario.ts';

export type ControlHandler = (operation: string, body: Record<string, unknown>) => Promise<ControlReply>;

const CONTROL_TIMEOUT_MS = 120;
/** The longest that a message wanders about: long enough for a partition to leave a node and come back. */
const LATE_MS_MAX = 1_500;
/** A second copy comes of a way that is not the first one's. */
const COPY_LATE_SHARE = 0.5;

/** Messages between processes (`n0` a storage node, `c0` a coordinator, `k0` a client, `m` the metadata store). */
export class SimNetwork {
  readonly #clock: SimClock;
  readonly #random: Random;
  readonly #rates: () => Rates;
  /** Ways on which messages vanish, and how many faults have cut each. */
  readonly #cuts = new Map<string, number>();
  /** The agent that answers a node's control requests now; null while the node is down. */
  readonly handlerOf: (nodeId: number) => { readonly life: Life; readonly handle: ControlHandler } | null;

  constructor(options: {
    clock: SimClock;
    random: Random;
    rates: () => Rates;
    handlerOf: SimNetwork['handlerOf'];
  }) {
    this.#clock = options.clock;
    this.#random = options.random;
    this.#rates = options.rates;
    this.handlerOf = options.handlerOf;
  }

  cut(from: string, to: string): void {
    const way = `${from}>${to}`;
    this.#cuts.set(way, (this.#cuts.get(way) ?? 0) + 1);
  }

  mend(from: string, to: string): void {
    const way = `${from}>${to}`;
    const left = (this.#cuts.get(way) ?? 1) - 1;
    if (left > 0) this.#cuts.set(way, left);
    else this.#cuts.delete(way);
  }

  mendAll(): void {
    this.#cuts.clear();
  }

  isCut(from: string, to: string): boolean {
    return this.#cuts.size > 0 && this.#cuts.has(`${from}>${to}`);
  }

  /** One message: it arrives, arrives late (a share of them), or never. */
  send(from: string, to: string, lateShare: number, deliver: () => void): void {
    if (this.#random.nextFloat() < this.#rates().loss || this.isCut(from, to)) return;
    const delayMs =
      this.#random.nextFloat() < lateShare
        ? 20 + this.#random.nextFloat() * LATE_MS_MAX
        : 0.2 + this.#random.nextFloat() * 2;
    this.#clock.after(delayMs, deliver);
  }

  /** A client's request, or its answer. */
  sendRequest(from: string, to: string, deliver: () => void): void {
    this.send(from, to, this.#rates().lateRequest, deliver);
  }

  /** Control requests of one process; they may arrive twice, in any order. */
  transportOf(life: Life): MigrationTransport {
    return {
      request: (nodeId, operation, body) =>
        new Promise((resolve, reject) => {
          this.#request(life, nodeId, operation, body, { resolve, reject });
        }),
    };
  }

  #request(
    life: Life,
    nodeId: number,
    operation: string,
    body: Record<string, unknown>,
    asker: { resolve: (reply: ControlReply) => void; reject: (error: unknown) => void },
  ): void {
    if (life.isOver) return;
    const node = `n${nodeId}`;
    let wasDelivered = false;
    const timeout = this.#clock.after(CONTROL_TIMEOUT_MS, () =>
      life.run(() => asker.reject(unanswered(operation, nodeId, wasDelivered))),
    );
    const answer = (settle: () => void): void =>
      this.send(node, life.name, this.#rates().late, () =>
        life.run(() => {
          this.#clock.cancel(timeout);
          settle();
        }),
      );
    const deliver = (): void => {
      const agent = this.handlerOf(nodeId);
      if (!agent) return;
      wasDelivered = true;
      agent.life.run(() => {
        agent.handle(operation, body).then(
          (reply) => answer(() => asker.resolve(reply)),
          (error) => answer(() => asker.reject(error)),
        );
      });
    };
    const { late, duplicate } = this.#rates();
    this.send(life.name, node, late, deliver);
    if (this.#random.nextFloat() < duplicate) this.send(life.name, node, COPY_LATE_SHARE, deliver);
  }
}

function unanswered(operation: string, nodeId: number, wasDelivered: boolean): ForeshardError {
  const code = wasDelivered ? 'FORESHARD_UNKNOWN_OUTCOME' : 'FORESHARD_UNAVAILABLE';
  return new ForeshardError(code, 'retry', `${operation} to node ${nodeId} was not answered`);
}
