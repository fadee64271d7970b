/**
 * A process that moves slots as the agent's does: apart from whoever measures it, and as nice as an agent is by default.
 * Each message is an order; the answer is what went wrong, or null.
 */

import type { RedisAddress } from '../../plugin/engines/redis-cluster/server/redis-connection.ts';
import { yieldToOthers } from '../../src/kernels/niceness.ts';
import { REDIS_DEFAULTS, type SlotMoveSettings } from '../../src/redis-settings.ts';
import { moveOurs } from './movers.ts';

export interface MoveOrder {
  readonly nodeIds: readonly string[];
  readonly addresses: readonly RedisAddress[];
  readonly ends: { readonly from: number; readonly to: number };
  readonly slots: readonly number[];
  readonly settings: Partial<SlotMoveSettings>;
}

yieldToOthers(REDIS_DEFAULTS.niceness);
process.on('message', ({ nodeIds, addresses, ends, slots, settings }: MoveOrder) => {
  const masters = { nodeIds, address: (index: number) => addresses[index] as RedisAddress };
  moveOurs(masters, ends, { slots, settings }).then(
    () => process.send?.(null),
    (error: Error) => process.send?.(error.message),
  );
});
process.send?.('ready');
