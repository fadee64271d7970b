import { ForeshardError } from '../../../src/base/errors.ts';
import type { Settings } from '../../../src/settings.ts';
import { asTime, durationText } from '../units-text.ts';

/** What has been asked is published window by window: before the end of the first there is nothing to show. */
export function noWindowYet({ analyzer: { windowMs }, redis }: Settings, nowMs = Date.now()): ForeshardError {
  const who = redis.nodes.length > 0 ? 'a captured application' : 'a query node';
  // Windows begin at multiples of their width, wherever a process was started.
  const endMs = (Math.floor(nowMs / windowMs) + 1) * windowMs;
  return new ForeshardError(
    'FORESHARD_NOT_READY',
    'wait',
    `no window has been closed yet: ${who} tells what was asked when a window of analyzer.windowMs (${durationText(windowMs)}) is over; ` +
      `the present one ends at ${asTime(endMs)}`,
  );
}
