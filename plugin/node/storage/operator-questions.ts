import { assert } from '../../../src/base/assert.ts';
import type { Clock } from '../../../src/base/clock.ts';
import type { LmdbEngine } from '../../engines/lmdb/engine.ts';
import { answerCosts, COSTS_OPERATION } from '../../engines/migration-agent/partition-costs.ts';
import type { ControlReply } from '../../hooks.ts';
import { ACTIVITY_OPERATION, answerActivity } from './partition-activity.ts';
import { answerInventory, INVENTORY_OPERATION } from './partition-inventory.ts';
import { READ_BACK_OPERATION, ReadBack } from './partition-read-back.ts';

type Answer = (body: Record<string, unknown>) => ControlReply | Promise<ControlReply>;

/** What a storage node answers to whoever may look, also before it serves. Nothing of it changes anything. */
export class OperatorQuestions {
  readonly #answers: ReadonlyMap<string, Answer>;

  constructor({ store, requests }: Pick<LmdbEngine, 'store' | 'requests'>, clock: Clock) {
    const readBack = new ReadBack(store);
    const partitionCount = requests.costs.requests.length;
    this.#answers = new Map<string, Answer>([
      [INVENTORY_OPERATION, (body) => answerInventory(store, partitionCount, body)],
      [ACTIVITY_OPERATION, () => answerActivity(requests.costs.requests, clock)],
      [COSTS_OPERATION, () => answerCosts(requests.costs, clock)],
      [READ_BACK_OPERATION, (body) => readBack.answer(body)],
    ]);
  }

  isAbout(operation: string): boolean {
    return this.#answers.has(operation);
  }

  async answer(operation: string, body: Record<string, unknown>): Promise<ControlReply> {
    const answer = this.#answers.get(operation);
    assert(answer !== undefined, 'only questions of operators are asked here');
    return answer(body);
  }
}
