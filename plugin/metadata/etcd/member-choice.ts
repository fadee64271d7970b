/**
 * Which member of etcd a request goes to. The library chooses by chance each time: with one member of three cut off, every
 * third request would wait for its time limit. So a member that has just failed is passed over for a while, unless all have:
 * it is never all of them that are passed over, and nothing is tried again here.
 */
import { type IDefaultPolicyContext, type IPolicy, NoopPolicy } from 'cockatiel';
import type { Clock } from '../../../src/base/clock.ts';
import { ForeshardError } from '../../../src/base/errors.ts';
import { isFaultOfMember } from './faults.ts';

/** A member that is back is used again within this; one that is not costs one request's time limit so often. */
const PASS_OVER_MS = 5_000;

export class MemberChoice {
  readonly #clock: Clock;
  /** By member, until when it is passed over. */
  readonly #untilMs = new Map<string, number>();

  constructor(members: readonly string[], clock: Clock) {
    this.#clock = clock;
    for (const member of members) this.#untilMs.set(member, Number.NEGATIVE_INFINITY);
  }

  /** For the library, which asks one policy of each member before a call, and goes on to the next where it throws at once. */
  policyOf = (member: string): IPolicy<IDefaultPolicyContext, never> => new MemberPolicy(this, member);

  isPassedOver(member: string): boolean {
    const nowMs = this.#clock.monotonicMs();
    const isOut = (untilMs: number): boolean => untilMs > nowMs;
    return isOut(this.#untilMs.get(member) ?? 0) && ![...this.#untilMs.values()].every(isOut);
  }

  failed(member: string): void {
    this.#untilMs.set(member, this.#clock.monotonicMs() + PASS_OVER_MS);
  }

  answered(member: string): void {
    this.#untilMs.set(member, Number.NEGATIVE_INFINITY);
  }
}

class MemberPolicy extends NoopPolicy {
  readonly #choice: MemberChoice;
  readonly #member: string;

  constructor(choice: MemberChoice, member: string) {
    super();
    this.#choice = choice;
    this.#member = member;
  }

  override async execute<T>(call: (context: IDefaultPolicyContext) => PromiseLike<T> | T): Promise<T> {
    if (this.#choice.isPassedOver(this.#member))
      throw new ForeshardError('FORESHARD_UNAVAILABLE', 'retry', `${this.#member} has just failed`);
    try {
      const result = await super.execute(call);
      if (!isStream(result)) this.#choice.answered(this.#member);
      return result;
    } catch (error) {
      if (isFaultOfMember(error)) this.#choice.failed(this.#member);
      throw error;
    }
  }
}

/** A stream that has been asked for is no answer yet. */
const isStream = (result: unknown): boolean =>
  typeof (result as { cancel?: unknown } | null)?.cancel === 'function';
