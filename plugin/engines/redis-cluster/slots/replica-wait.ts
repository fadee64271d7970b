import { accepted, textOf } from '../server/redis-node.ts';
import { SlotMoveStopped } from '../steps/slot-move.ts';
import { ask, type Steps } from '../steps/steps.ts';

/** One WAIT: replicas answer within a round trip, so that this is short beside what they are waited for. */
const WAIT_MS = 2;

interface Replication {
  readonly offset: number;
  readonly replicaOffsets: readonly number[];
}

/** Reads `INFO replication` of a master. */
export function parseReplication(text: string): Replication {
  const offset = Number(/^master_repl_offset:(\d+)/m.exec(text)?.[1] ?? 0);
  const replicaOffsets = [...text.matchAll(/^slave\d+:(.*)$/gm)]
    .filter((found) => /(^|,)state=online(,|$)/.test(found[1] as string))
    .map((found) => Number(/(?:^|,)offset=(\d+)/.exec(found[1] as string)?.[1] ?? 0));
  return { offset, replicaOffsets };
}

/**
 * Waits until all replicas of a node that are online have what it has now.
 *
 * WAIT alone would not do: it speaks of what its own connection has written, and keys arrive by others. But it makes the
 * master ask its replicas where they are, and INFO tells their answers.
 *
 * @throws SlotMoveStopped with fewer than `replicasMin` of them, or when they are behind for too long.
 */
export function* waitForReplicas(
  nodeId: string,
  { replicasMin, replicaWaitMs }: { readonly replicasMin: number; readonly replicaWaitMs: number },
): Steps<void> {
  const { offset: goal, replicaOffsets } = yield* assertReplicas(nodeId, replicasMin);
  let behind = replicaOffsets.filter((offset) => offset < goal).length;
  for (let waitedMs = 0; behind > 0; waitedMs += WAIT_MS) {
    if (waitedMs >= replicaWaitMs)
      throw new SlotMoveStopped(
        `${behind} replicas of target ${nodeId} are behind after ${replicaWaitMs} ms`,
      );
    // One more than there are, or it would not ask them.
    const [waited, replies] = yield* ask(nodeId, [
      ['WAIT', replicaOffsets.length + 1, WAIT_MS],
      ['INFO', 'replication'],
    ]);
    accepted(waited);
    const now = parseReplication(textOf(replies));
    if (now.replicaOffsets.length < replicaOffsets.length)
      throw new SlotMoveStopped(`a replica of target ${nodeId} has gone`);
    behind = now.replicaOffsets.filter((offset) => offset < goal).length;
  }
}

/** @throws SlotMoveStopped with fewer than `replicasMin` replicas online. */
export function* assertReplicas(nodeId: string, replicasMin: number): Steps<Replication> {
  const replication = yield* replicationOf(nodeId);
  const { length } = replication.replicaOffsets;
  if (length < replicasMin)
    throw new SlotMoveStopped(`target ${nodeId} has ${length} replicas online, not ${replicasMin}`);
  return replication;
}

function* replicationOf(nodeId: string): Steps<Replication> {
  const [reply] = yield* ask(nodeId, [['INFO', 'replication']]);
  return parseReplication(textOf(reply));
}
