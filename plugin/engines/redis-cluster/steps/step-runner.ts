import type { Clock } from '../../../../src/base/clock.ts';
import { type RedisNodes, RedisRefusal, type RedisReply } from '../server/redis-node.ts';
import type { Pace } from './pace.ts';
import type { Batch, Steps } from './steps.ts';

/** A piece whose MIGRATEs all went through so lately says as much as a PING of the target. */
const HEARD_MS = 10;

export interface StepComponents {
  readonly nodes: RedisNodes;
  readonly clock: Clock;
  readonly pace: Pace;
  /** Asked before every write. @throws when this process must send nothing more. */
  readonly assertMaySend: () => void;
}

/**
 * Carries out steps: sends each batch, in pieces where it may be, and hands back the replies.
 *
 * @throws what the steps throw; ForeshardError FORESHARD_UNAVAILABLE when a node does not answer.
 */
export async function runSteps<Result>(steps: Steps<Result>, components: StepComponents): Promise<Result> {
  let turn = steps.next();
  while (turn.done !== true) {
    let replies: readonly (readonly RedisReply[])[];
    try {
      const batch = turn.value;
      replies = await Promise.all(batch.to.map((nodeId) => sendBatch(nodeId, batch, components)));
    } catch (error) {
      turn = steps.throw(error);
      continue;
    }
    turn = steps.next(replies);
  }
  return turn.value;
}

function sendBatch(
  nodeId: string,
  { commands, pieces }: Batch,
  components: StepComponents,
): Promise<readonly RedisReply[]> {
  if (pieces !== undefined) return sendPieces(nodeId, { commands, pieces }, components);
  components.assertMaySend();
  return components.nodes.node(nodeId).pipeline(commands);
}

async function sendPieces(
  nodeId: string,
  { commands, pieces: { weights, setsPace, migratesTo } }: Required<Pick<Batch, 'commands' | 'pieces'>>,
  { nodes, clock, pace, assertMaySend }: StepComponents,
): Promise<readonly RedisReply[]> {
  const node = nodes.node(nodeId);
  const replies: RedisReply[] = [];
  const inFlight: Promise<void>[] = [];
  let lastHeardMs = Number.NEGATIVE_INFINITY;
  let lastDoneMs = clock.monotonicMs();
  let at = 0;
  try {
    while (at < commands.length) {
      const first = at;
      const isLook = !setsPace && migratesTo === undefined;
      const keysMax = isLook ? pace.lookKeys : pace.pieceKeys;
      const migratesMax = migratesTo === undefined ? Number.POSITIVE_INFINITY : pace.pieceMigrates;
      const { weight, end } = pieceFrom(first, { weights, keysMax, migratesMax });
      at = end;
      if (migratesTo !== undefined && clock.monotonicMs() - lastHeardMs > HEARD_MS)
        await nodes.node(migratesTo).pipeline([['PING']]);
      assertMaySend();
      const sentMs = clock.monotonicMs();
      const piece = node.pipeline(commands.slice(first, at)).then((answers) => {
        const doneMs = clock.monotonicMs();
        // It had to wait for the piece before it.
        if (setsPace) pace.onPiece({ keyCount: weight, elapsedMs: doneMs - Math.max(sentMs, lastDoneMs) });
        lastDoneMs = doneMs;
        lastHeardMs = answers.some((answer) => answer instanceof RedisRefusal)
          ? Number.NEGATIVE_INFINITY
          : doneMs;
        for (const [index, answer] of answers.entries()) replies[first + index] = answer;
      });
      inFlight.push(piece);
      // Somebody waits for it below; until then a failure is nobody's surprise.
      piece.catch(() => undefined);
      if (inFlight.length >= pace.piecesInFlight) await inFlight.shift();
      if (pace.pauseMs > 0) {
        await Promise.all(inFlight.splice(0));
        await clock.sleep(pace.pauseMs);
      }
    }
  } finally {
    await Promise.allSettled(inFlight);
  }
  await Promise.all(inFlight);
  return replies;
}

/** As many commands as fit; at least one, and all of no weight that belong to it. */
function pieceFrom(
  first: number,
  {
    weights,
    keysMax,
    migratesMax,
  }: { readonly weights: readonly number[]; readonly keysMax: number; readonly migratesMax: number },
): { readonly weight: number; readonly end: number } {
  let [weight, migrates, end] = [0, 0, first];
  do {
    const next = weights[end++] as number;
    weight += next;
    if (next >= 1) migrates++;
  } while (
    end < weights.length &&
    weight + (weights[end] as number) <= Math.max(keysMax, weight) &&
    ((weights[end] as number) < 1 || migrates < migratesMax)
  );
  return { weight, end };
}
