import type { ProposalRecord } from '../host/records/proposal-record.ts';
import { asTime } from './units-text.ts';

/** `node 1 is not reachable (since …)`, of each storage node that did not answer the cycle that made the proposal. */
export const silenceLines = ({ silentNodes }: Pick<ProposalRecord, 'silentNodes'>): string[] =>
  (silentNodes ?? []).map(
    ({ nodeId, sinceMs }) => `node ${nodeId} is not reachable (since ${asTime(sinceMs)})`,
  );
