import { randomUUID } from 'node:crypto';
import type { Clock } from '../../src/base/clock.ts';
import type { Logger } from '../../src/base/logger.ts';
import { type Reading, reading } from '../metrics/reading.ts';
import { signedHeaders } from './signature.ts';

const WEBHOOK_EVENTS = ['proposal.made', 'migration.aborted', 'cycle.failed'] as const;
export type WebhookEvent = (typeof WEBHOOK_EVENTS)[number];

export interface WebhookOptions {
  /** https, or http on the loopback: checked with the settings. Nothing that is sent chooses where it goes. */
  readonly url: string;
  /** What deliveries are signed with. */
  readonly secret: string;
  readonly timeoutMs: number;
  readonly attemptsMax: number;
  /** Who is told of the process that sends, such as the cluster's name. */
  readonly source: Readonly<Record<string, string>>;
}

/** Waiting at once, for a receiver that is away: what comes then is dropped and counted. */
const QUEUE_MAX = 100;
const RETRY_MS_FIRST = 1_000;
const RETRY_MS_MAX = 60_000;

interface Delivery {
  readonly id: string;
  readonly event: WebhookEvent;
  readonly body: string;
}

type Verdict = 'delivered' | 'retry' | 'refused';

/** Tells a receiver of events, one after the other, in their order. Never throws, and holds up nobody. */
export class WebhookSender {
  readonly #options: WebhookOptions;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #queue: Delivery[] = [];
  readonly #end = new AbortController();
  readonly #counts = { delivered: 0, failed: 0, dropped: 0 };
  #running: Promise<void> | null = null;

  constructor(options: WebhookOptions, components: { readonly clock: Clock; readonly logger: Logger }) {
    this.#options = options;
    this.#clock = components.clock;
    this.#logger = components.logger;
  }

  /** @param data what is told; the wall clock and the source are added. */
  send(event: WebhookEvent, data: Readonly<Record<string, unknown>>): void {
    if (this.#end.signal.aborted) return;
    if (this.#queue.length >= QUEUE_MAX) {
      this.#counts.dropped++;
      return;
    }
    const timestamp = new Date(this.#clock.nowMs()).toISOString();
    const body = JSON.stringify({ type: event, timestamp, data: { ...this.#options.source, ...data } });
    this.#queue.push({ id: `msg_${randomUUID()}`, event, body });
    this.#running ??= this.#drain();
  }

  readings(): readonly Reading[] {
    return Object.entries(this.#counts).map(([outcome, count]) =>
      reading('foreshard_webhooks_total', count, { outcome }),
    );
  }

  /** Resolves when nothing waits any more. */
  async settled(): Promise<void> {
    await this.#running;
  }

  /** What waits is given up: who ends does not wait for a receiver that is away. */
  async close(): Promise<void> {
    this.#end.abort();
    await this.#running;
  }

  async #drain(): Promise<void> {
    for (;;) {
      const delivery = this.#queue[0];
      if (delivery === undefined || this.#end.signal.aborted) break;
      this.#counts[(await this.#deliver(delivery)) ? 'delivered' : 'failed']++;
      this.#queue.shift();
    }
    this.#running = null;
  }

  async #deliver(delivery: Delivery): Promise<boolean> {
    const { attemptsMax } = this.#options;
    for (let attempt = 1; attempt <= attemptsMax && !this.#end.signal.aborted; attempt++) {
      const { verdict, why } = await this.#attempt(delivery);
      if (verdict === 'delivered') return true;
      const isLast = verdict === 'refused' || attempt === attemptsMax;
      if (isLast) {
        this.#logger.warn({ event: delivery.event, attempts: attempt, why }, 'a webhook was not delivered');
        return false;
      }
      await this.#clock.sleep(Math.min(RETRY_MS_MAX, RETRY_MS_FIRST * 2 ** (attempt - 1)), this.#end.signal);
    }
    return false;
  }

  async #attempt({ id, body }: Delivery): Promise<{ readonly verdict: Verdict; readonly why: string }> {
    const { url, secret, timeoutMs } = this.#options;
    const signed = signedHeaders({ id, body, atMs: this.#clock.nowMs() }, secret);
    try {
      const response = await fetch(url, {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'user-agent': 'foreshard', ...signed },
        body,
        // It goes where the settings say, and nowhere else: a receiver cannot send us on into a network that it does not see.
        redirect: 'manual',
        signal: AbortSignal.any([this.#end.signal, AbortSignal.timeout(timeoutMs)]),
      });
      // What a receiver says is neither read nor logged.
      await response.body?.cancel();
      return { verdict: verdictOn(response.status), why: `status ${response.status}` };
    } catch (error) {
      const { name, cause } = error as Error & { readonly cause?: { readonly code?: string } };
      return { verdict: 'retry', why: cause?.code ?? name };
    }
  }
}

/** Trying again helps where the receiver is busy or broken, not where it does not want it. */
function verdictOn(status: number): Verdict {
  if (status >= 200 && status < 300) return 'delivered';
  return status === 408 || status === 425 || status === 429 || status >= 500 ? 'retry' : 'refused';
}
