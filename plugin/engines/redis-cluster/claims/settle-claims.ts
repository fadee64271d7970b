import type { Clock } from '../../../../src/base/clock.ts';
import { ForeshardError } from '../../../../src/base/errors.ts';
import { type NodeView, parseClusterNodes } from '../server/cluster-nodes.ts';
import { numberOf, type RedisCommand, RedisRefusal, type RedisReply, textOf } from '../server/redis-node.ts';
import { type SettledEpochs, SlotMoveStopped } from '../steps/slot-move.ts';
import { ask, type Steps } from '../steps/steps.ts';
import {
  closedSlotOf,
  type Ends,
  epochsIn,
  hasThirdMaster,
  keepsDoubts,
  othersIn,
  owns,
  type Views,
  viewsOf,
  whyEpochUnheard,
  witnessOf,
} from './claim-views.ts';

/** Of a server that does not tell its own: nodes hear of each other within half of it. */
const NODE_TIMEOUT_MS_DEFAULT = 15_000;
/** With a node timeout of a second or two, a busy machine takes longer than that. */
const SETTLE_MS_MIN = 10_000;
const POLL_MS = 10;
/** A source is asked to speak as often as it looks after its links. */
const POLLS_PER_MEET = 10;
/** A source that may be told to speak does so in a tenth of a second; without, its next heartbeat takes seconds. */
const PROMPT_POLLS = 100;
/**
 * A message that the source has sent before it had all of its slots would bring new doubts when it came last: 4 of 50 moves that followed redis-cli's were
 * met by one. A server reads all that has come to it before it answers us for the second time, and has sent by then what it had to send.
 */
const DRAIN_LOOKS = 4;

/** What it means that claims are not settled, for people. */
export const UNPROTECTED =
  'these servers (Redis 7.0.12 to 7.2) may delete keys of slots that move, and nothing prevents it here: upgrade them (docs/redis.md, "Keys that a target deletes")';

export const NO_THIRD_MASTER = 'the cluster has no third master';

export interface SettleComponents {
  readonly run: <Result>(steps: Steps<Result>) => Promise<Result>;
  readonly clock: Clock;
  /** `off`: nothing is sent but what looks. */
  readonly mode: 'auto' | 'off';
}

export interface Settled {
  readonly epochs: SettledEpochs;
  /** First and last of each range that the source claims. */
  readonly sourceSlots: NodeView['slots'];
  /** Why the target may doubt claims of the source all the same; null where it does not. */
  readonly unprotected: string | null;
}

/**
 * Makes sure that a target which has taken slots keeps them, whatever the source has said of them before it hears of it: a slot that is given
 * back by the target is given back with all its keys deleted.
 *
 * A claim of the source counts where its configuration epoch is the greater one, so that the target, which is about to take the next epoch,
 * must have heard of the source's, and nobody else may have it: of two with one epoch, one takes a new one at any moment.
 *
 * And it counts where the target doubts that the owner of the slot, whom it thinks to know, still claims it. Redis 7.0.12 and later note that doubt
 * when a message without the slot arrives after word of the new owner, as it does by another connection; drop it only with a message whose
 * claims differ from what they know; and do not drop it when they take the slot themselves, so that weeks later any claim takes it away. So the target is told
 * of one closed slot that it belongs to another master, of a lesser epoch than the source's, and the source to speak to the target: it finds
 * that slot claimed, binds it to the source again, and drops its doubts of all slots that the source claims, which can be seen.
 *
 * It is done once before slots move: later claims differ only by what has moved, as long as the epochs are these.
 *
 * @throws SlotMoveStopped when the target does not hear from the source; nothing has been opened then.
 * @see https://github.com/redis/redis/pull/12344 (the doubt), https://github.com/redis/redis/pull/12564 (its end)
 */
export async function settleClaims(ends: Ends, components: SettleComponents): Promise<Settled> {
  const { run, clock, mode } = components;
  const look = untilSettled(ends, components);
  const isHeard = (views: Views): string | null => whyEpochUnheard(ends, views);
  let views = await look(isHeard);
  const settled = (unprotected: string | null): Settled => ({
    epochs: epochsIn(ends, views),
    sourceSlots: views.source.find(({ nodeId }) => nodeId === ends.sourceId)?.slots ?? [],
    unprotected,
  });
  if (mode === 'off' || !(await run(keepsDoubts(ends.targetId)))) return settled(null);
  const hopeless = whyHopeless(ends, views);
  if (hopeless !== null) return settled(hopeless);
  // One that is out of reach for a moment is no reason to move unprotected, nor to take an epoch.
  views = await look((now) => isHeard(now) ?? whyWitnessMissing(ends, now));
  if (witnessOf(ends, views) === null) {
    const [bumped] = await run(ask(ends.sourceId, [['CLUSTER', 'BUMPEPOCH']]));
    if (bumped instanceof RedisRefusal)
      return settled(`CLUSTER BUMPEPOCH is refused, and the epoch of ${ends.sourceId} is the least`);
  }
  // A source that dies before its replicas know its epoch cannot be followed by them: nobody would vote for one. Also where it
  // was taken by an attempt before, of this agent or another.
  let isGreeted = false;
  views = await look(async (now) => {
    const why = await run(whyReplicaUnheard(ends, now));
    if (why !== null && !isGreeted) await run(greetReplicas(ends, now));
    isGreeted = true;
    return why;
  });
  const isReady = (now: Views): string | null =>
    isHeard(now) ??
    (witnessOf(ends, now) === null
      ? `source ${ends.sourceId} and target ${ends.targetId} agree on no third master of a lesser epoch than the source's`
      : null);
  for (let looks = 0; looks < DRAIN_LOOKS; looks++) {
    if (looks > 0) await clock.sleep(POLL_MS);
    views = await look(
      (now) =>
        isReady(now) ??
        (isAnswerDue(ends, now) ? `source ${ends.sourceId} has not answered target ${ends.targetId}` : null),
    );
  }
  const slot = closedSlotOf(ends, views);
  if (slot === null) return settled(whyHopeless(ends, views));
  const [named] = await run(ask(ends.targetId, [nameWitness(ends, slot, witnessOf(ends, views) as string)]));
  if (named instanceof RedisRefusal) return settled('scripts (EVAL) are refused');
  if (numberOf(named) === 0)
    throw new SlotMoveStopped(
      `target ${ends.targetId}: epochs or slots have changed while it was made to hear of its source: nothing has been moved`,
    );
  try {
    views = await look(({ target }) =>
      owns(target, ends.sourceId, slot)
        ? null
        : `target ${ends.targetId} has not heard that slot ${slot} is source ${ends.sourceId}'s`,
    );
    return settled(null);
  } catch (error) {
    await run(tell(ends.targetId, ['CLUSTER', 'SETSLOT', slot, 'NODE', ends.sourceId]));
    throw error;
  }
}

/** As `unprotected` of what is settled, as far as looking tells: nothing is sent but what looks. */
export function* whyUnprotected(ends: Ends): Steps<string | null> {
  return (yield* keepsDoubts(ends.targetId)) ? whyHopeless(ends, yield* viewsOf(ends)) : null;
}

function whyHopeless(ends: Ends, views: Views): string | null {
  if (!hasThirdMaster(ends, views.target)) return NO_THIRD_MASTER;
  if (closedSlotOf(ends, views) === null) return `all slots of ${ends.sourceId} are open`;
  return null;
}

const whyWitnessMissing = (ends: Ends, { target }: Views): string | null =>
  othersIn(ends, target).length === 0 && hasThirdMaster(ends, target)
    ? `target ${ends.targetId} cannot reach a third master`
    : null;

/**
 * Names the witness at one moment with a look at what the target knows. A slot that is said to be a master's of a greater epoch than its
 * owner's is taken from that owner, with its keys, as soon as that owner greets the target, and one that has been opened, or has moved, is not ours to touch.
 *
 * ARGV: slot, source, witness. Returns 1 where it was done, and 0 where something has changed.
 */
const NAME_WITNESS_SCRIPT = `
local slot, source, witness = tonumber(ARGV[1]), ARGV[2], ARGV[3]
local nodes = redis.call('CLUSTER', 'NODES')
if nodes:find('[' .. ARGV[1] .. '-', 1, true) then return 0 end
local epochs, owned = {}, false
for line in nodes:gmatch('[^\\n]+') do
  local id, epoch, slots = line:match('^(%x+) %S+ %S+ %S+ %S+ %S+ (%d+) %S+(.*)$')
  if id then epochs[id] = tonumber(epoch) end
  if id == source then
    for first, last in slots:gmatch(' (%d+)%-?(%d*)') do
      if tonumber(first) <= slot and slot <= (tonumber(last) or tonumber(first)) then owned = true end
    end
  end
end
if not owned or not epochs[witness] or epochs[witness] >= epochs[source] then return 0 end
redis.call('CLUSTER', 'SETSLOT', ARGV[1], 'NODE', witness)
return 1`;

const nameWitness = ({ sourceId }: Ends, slot: number, witness: string): RedisCommand => [
  ...['EVAL', NAME_WITNESS_SCRIPT, 0],
  ...[slot, sourceId, witness],
];

/** Hands out what looks until it is so, with one deadline for all, and has the source speak to the target meanwhile, which it does within a tenth of a second. */
function untilSettled(
  ends: Ends,
  { run, clock, mode }: SettleComponents,
): (whyNot: (views: Views) => string | null | Promise<string | null>) => Promise<Views> {
  const startedMs = clock.monotonicMs();
  let settleMsMax: number | null = null;
  return async (whyNot) => {
    for (let polls = 0; ; polls++) {
      const views = await run(viewsOf(ends));
      const why = await whyNot(views);
      if (why === null) return views;
      settleMsMax ??= Math.max(SETTLE_MS_MIN, 2 * (await run(nodeTimeoutMs(ends))));
      if (clock.monotonicMs() - startedMs >= settleMsMax)
        throw new SlotMoveStopped(
          `${why}, for ${settleMsMax} ms: nothing has been moved; see that the nodes reach each other's cluster bus ports (CLUSTER NODES, redis-cli --cluster check)`,
        );
      if (mode === 'auto' && polls % POLLS_PER_MEET === 0) await run(speak(ends, views));
      // To tell of hundreds of nodes holds a server for a millisecond.
      await clock.sleep(polls < PROMPT_POLLS ? POLL_MS : POLL_MS * 10);
    }
  };
}

/** The longer one; our user may not be allowed CONFIG. */
function* nodeTimeoutMs({ sourceId, targetId }: Ends): Steps<number> {
  const replies = yield { to: [sourceId, targetId], commands: [['CONFIG', 'GET', 'cluster-node-timeout']] };
  const told = replies.flatMap(([reply]) => {
    const value = Array.isArray(reply) ? Number(textOf((reply as readonly RedisReply[])[1])) : Number.NaN;
    return value > 0 ? [value] : [];
  });
  return told.length === 0 ? NODE_TIMEOUT_MS_DEFAULT : Math.max(...told);
}

/** Whoever is a member already is only greeted. A user who may not greet waits for the next heartbeat. */
function* speak({ sourceId, targetId }: Ends, { source, target }: Views): Steps<void> {
  yield* greet(sourceId, { nodeId: targetId, greeter: source, greeted: target });
}

function* greetReplicas(ends: Ends, { source }: Views): Steps<void> {
  for (const nodeId of replicasIn(ends, source)) {
    const greeted = yield* nodesOf(nodeId);
    if (greeted !== null) yield* greet(ends.sourceId, { nodeId, greeter: source, greeted });
  }
}

function* whyReplicaUnheard(ends: Ends, { source }: Views): Steps<string | null> {
  const epochIn = (nodes: readonly NodeView[]): number | undefined =>
    nodes.find(({ nodeId }) => nodeId === ends.sourceId)?.configEpoch;
  for (const nodeId of replicasIn(ends, source)) {
    const nodes = yield* nodesOf(nodeId);
    if (nodes !== null && epochIn(nodes) !== epochIn(source))
      return `replica ${nodeId} has not heard of the epoch that its master ${ends.sourceId} has taken`;
  }
  return null;
}

const replicasIn = ({ sourceId }: Ends, nodes: readonly NodeView[]): readonly string[] =>
  nodes
    .filter(({ masterId, health }) => masterId === sourceId && health === 'ok')
    .map(({ nodeId }) => nodeId);

/** @returns null where it does not tell, or does not answer us: moves do not wait for replicas that are down or elsewhere. */
function* nodesOf(nodeId: string): Steps<readonly NodeView[] | null> {
  let reply: RedisReply | undefined;
  try {
    [reply] = yield* ask(nodeId, [['CLUSTER', 'NODES']]);
  } catch (error) {
    if (error instanceof ForeshardError && error.code === 'FORESHARD_UNAVAILABLE') return null;
    throw error;
  }
  return reply instanceof RedisRefusal ? null : parseClusterNodes(textOf(reply), '');
}

/**
 * A node that is met takes the address at which it was reached to be its own (unless one is announced), and tells all others: so only where it is
 * known by no other. Behind a translation of addresses the next heartbeat has to do.
 */
function* greet(
  greeterId: string,
  {
    nodeId,
    greeter,
    greeted,
  }: {
    readonly nodeId: string;
    readonly greeter: readonly NodeView[];
    readonly greeted: readonly NodeView[];
  },
): Steps<void> {
  const seen = greeter.find((node) => node.nodeId === nodeId);
  const own = greeted.find((node) => node.nodeId === nodeId);
  if (seen === undefined || own === undefined || seen.busPort === null) return;
  if (seen.host !== own.host || seen.port !== own.port || seen.busPort !== own.busPort) return;
  yield* ask(greeterId, [['CLUSTER', 'MEET', seen.host, seen.port, seen.busPort]]);
}

function* tell(nodeId: string, command: RedisCommand): Steps<void> {
  const [reply] = yield* ask(nodeId, [command]);
  if (reply instanceof RedisRefusal)
    throw new SlotMoveStopped(`node ${nodeId}: ${command.slice(0, 2).join(' ')}: ${reply.message}`);
}

/** What the source answers to PINGs goes by a connection of its own, which may be the slower one. */
const isAnswerDue = ({ sourceId }: Ends, { target }: Views): boolean =>
  target.find(({ nodeId }) => nodeId === sourceId)?.isPinged === true;
