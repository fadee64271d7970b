import type { Decisions } from '../../metadata/decisions.ts';
import { asTime } from '../units-text.ts';

/** What people have decided and the coordinator has not done yet, or keeps to. */
export function decisionLines({ approvals, rejections }: Decisions): string[] {
  return [
    ...approvals.map(
      ({ partitionId, sourceNodeId, targetNodeId, by, reason, notBeforeMs, notAfterMs }) =>
        `approved by ${by} (${reason}), not begun: partition ${partitionId}: node ${sourceNodeId} -> ${targetNodeId}, ` +
        `from ${asTime(notBeforeMs)} to ${asTime(notAfterMs)}`,
    ),
    ...rejections.map(
      ({ partitionId, by, reason, untilMs }) =>
        `rejected by ${by} (${reason}): partition ${partitionId} stays where it is until ${asTime(untilMs)}`,
    ),
  ];
}
