import type { Clock } from '../../../src/base/clock.ts';
import type { ClientConnection } from './query-client.ts';
import type { Dispatcher } from './query-dispatch.ts';
import type { Router } from './router.ts';

/** For so long at a time a client with too many replies may hold up all others; then it is left to its own limit. */
const HOLD_UP_MS_MAX = 1_000;

/** When each client is read, and when it is written to, so that none keeps the others waiting. */
export class ClientTurns {
  readonly #router: Router;
  readonly #dispatcher: Dispatcher;
  readonly #clock: Clock;
  readonly #stalled = new Set<ClientConnection>();
  /** Clients for whose sake storage links are not read; null once their time is over, until they have drained. */
  readonly #holdUps = new Map<ClientConnection, NodeJS.Timeout | null>();
  #outputs: ClientConnection[] = [];
  #isOutputScheduled = false;

  constructor(router: Router, dispatcher: Dispatcher, clock: Clock) {
    this.#router = router;
    this.#dispatcher = dispatcher;
    this.#clock = clock;
  }

  onInput(client: ClientConnection): void {
    this.#router.nowMs = this.#clock.monotonicMs();
    if (this.#dispatcher.run(client)) return;
    client.stall();
    this.#stalled.add(client);
  }

  onOutput(client: ClientConnection): void {
    this.#outputs.push(client);
    if (this.#isOutputScheduled) return;
    this.#isOutputScheduled = true;
    setImmediate(() => this.#flushOutputs());
  }

  onBacklog(client: ClientConnection): void {
    if (this.#holdUps.has(client) || client.isClosed) return;
    const timer = setTimeout(() => {
      this.#holdUps.set(client, null);
      this.#resumeLinks();
    }, HOLD_UP_MS_MAX);
    this.#holdUps.set(client, timer);
    if (!this.#router.links.isReadingPaused) this.#router.links.pauseReading();
  }

  onDrained(client: ClientConnection): void {
    const timer = this.#holdUps.get(client);
    if (timer === undefined) return;
    this.#holdUps.delete(client);
    if (timer === null) return;
    clearTimeout(timer);
    this.#resumeLinks();
  }

  onClosed(client: ClientConnection): void {
    this.onDrained(client);
    this.#stalled.delete(client);
    this.#dispatcher.forget(client);
  }

  #resumeLinks(): void {
    for (const timer of this.#holdUps.values()) if (timer !== null) return;
    this.#router.resumeReading();
  }

  /** Once an event-loop turn: everything that became ready goes out, one write a client; then stalled clients go on. */
  #flushOutputs(): void {
    this.#isOutputScheduled = false;
    const outputs = this.#outputs;
    this.#outputs = [];
    for (const client of outputs) client.flush();
    this.resumeStalled();
  }

  /** Also called from time to time: replies to clients that have gone wake nobody who waits for their memory. */
  resumeStalled(): void {
    if (this.#stalled.size === 0 || !this.#router.canAccept) return;
    for (const client of [...this.#stalled]) {
      if (!client.canResume) continue;
      this.#router.nowMs = this.#clock.monotonicMs();
      const { inFlightCount } = client;
      const isDone = this.#dispatcher.run(client);
      if (!isDone && client.inFlightCount === inFlightCount) continue;
      // Who has had a turn goes to the end of the line, so that long pipelines share what room there is.
      this.#stalled.delete(client);
      if (isDone) client.resume();
      else this.#stalled.add(client);
    }
  }
}
