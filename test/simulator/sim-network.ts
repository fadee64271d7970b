import type { MigrationTransport } from '../../plugin/engines/lmdb/migration-transport.ts';
import type { ControlReply } from '../../plugin/host/hooks.ts';
import { ForeshardError } from '../../src/base/errors.ts';
import type { Random } from '../../src/base/random.ts';
import type { Life, SimClock } from './sim-clock.ts';

/** How bad the world is; each schedule draws its own, some calm. */
export interface Faults {
  lossRate: number;
  duplicateRate: number;
  /** Share of messages that arrive when nobody waits for them any more. */
  lateRate: number;
  /** Of metadata commits: the answer is lost, the commit happens at once, later, or never. */
  unknownRate: number;
  metadataDownRate: number;
}

export const NO_FAULTS: Faults = {
  lossRate: 0,
  duplicateRate: 0,
  lateRate: 0,
  unknownRate: 0,
  metadataDownRate: 0,
};

export type ControlHandler = (operation: string, body: Record<string, unknown>) => Promise<ControlReply>;

const CONTROL_TIMEOUT_MS = 120;

/** Control messages: lost, late, doubled, out of order. */
export class SimNetwork {
  readonly #clock: SimClock;
  readonly #random: Random;
  readonly handlers = new Map<number, ControlHandler>();
  /** "a>b": messages from a to b vanish. */
  readonly cuts = new Set<string>();
  faults: Faults = NO_FAULTS;

  constructor(clock: SimClock, random: Random) {
    this.#clock = clock;
    this.#random = random;
  }

  delayMs(): number {
    if (this.#random.nextFloat() < this.faults.lateRate) return 20 + this.#random.nextFloat() * 1500;
    return 0.2 + this.#random.nextFloat() * 2;
  }

  isLost(): boolean {
    return this.#random.nextFloat() < this.faults.lossRate;
  }

  transportOf(from: string, life: Life): MigrationTransport {
    return {
      request: (nodeId, operation, body) => life.whileAlive(this.#request(from, nodeId, operation, body)),
    };
  }

  #request(
    from: string,
    nodeId: number,
    operation: string,
    body: Record<string, unknown>,
  ): Promise<ControlReply> {
    return new Promise((resolve, reject) => {
      const isUnknown = { value: false };
      this.#clock.after(CONTROL_TIMEOUT_MS, () =>
        reject(
          new ForeshardError(
            isUnknown.value ? 'FORESHARD_UNKNOWN_OUTCOME' : 'FORESHARD_UNAVAILABLE',
            'retry',
            `${operation} to node ${nodeId} was not answered`,
          ),
        ),
      );
      const copies = this.#random.nextFloat() < this.faults.duplicateRate ? 2 : 1;
      for (let copy = 0; copy < copies; copy++) {
        if (this.isLost() || this.cuts.has(`${from}>${nodeId}`)) continue;
        this.#clock.after(this.delayMs(), () => {
          const handler = this.handlers.get(nodeId);
          if (!handler) return;
          isUnknown.value = true;
          const answer = (settle: () => void): void => {
            if (this.isLost() || this.cuts.has(`${nodeId}>${from}`)) return;
            this.#clock.after(this.delayMs(), settle);
          };
          handler(operation, structuredClone(body)).then(
            (reply) => answer(() => resolve(reply)),
            (error) => answer(() => reject(error)),
          );
        });
      }
    });
  }
}
