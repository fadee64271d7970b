import type { Clock } from '../../../src/base/clock.ts';
import { type NodeView, parseClusterNodes } from './cluster-nodes.ts';
import { numberOf, type RedisCommand, RedisRefusal, textOf } from './redis-node.ts';
import { type SlotMove, SlotMoveStopped } from './slot-move.ts';
import { ask, type Steps } from './steps.ts';

/** Nodes hear of each other within half a node timeout, which is 15 s unless set otherwise. */
const SETTLE_MS_MAX = 30_000;
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

type Ends = Pick<SlotMove, 'sourceId' | 'targetId'>;

interface Views {
  readonly source: readonly NodeView[];
  readonly target: readonly NodeView[];
}

export interface SettleComponents {
  readonly run: <Result>(steps: Steps<Result>) => Promise<Result>;
  readonly clock: Clock;
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
 * It is done once before slots move: later claims differ only by what has moved.
 *
 * @throws SlotMoveStopped when the target does not hear from the source; nothing has been opened then.
 * @see https://github.com/redis/redis/pull/12344 (the doubt), https://github.com/redis/redis/pull/12564 (its end)
 */
export async function settleClaims(ends: Ends, components: SettleComponents): Promise<void> {
  const { run, clock } = components;
  const deadlineMs = clock.monotonicMs() + SETTLE_MS_MAX;
  const look = (isSettled: (views: Views) => boolean): Promise<Views> =>
    untilSettled(ends, { isSettled, deadlineMs }, components);
  const isHeard = (views: Views): boolean => isEpochHeard(ends, views);
  let views = await look(isHeard);
  // With two masters nobody is left to name, and where all slots are open none is.
  if (!(await run(keepsDoubts(ends.targetId))) || closedSlotOf(ends, views) === null) return;
  if (othersIn(ends, views.target).length === 0) return;
  const isReady = (now: Views): boolean => isHeard(now) && witnessOf(ends, now) !== null;
  if (witnessOf(ends, views) === null) {
    const [bumped] = await run(ask(ends.sourceId, [['CLUSTER', 'BUMPEPOCH']]));
    if (bumped instanceof RedisRefusal) return;
    await run(greetReplicas(ends, views));
  }
  for (let looks = 0; looks < DRAIN_LOOKS; looks++) {
    if (looks > 0) await clock.sleep(POLL_MS);
    views = await look((now) => isReady(now) && !isAnswerDue(ends, now));
  }
  const slot = closedSlotOf(ends, views);
  if (slot === null) return;
  const [named] = await run(ask(ends.targetId, [nameWitness(ends, slot, witnessOf(ends, views) as string)]));
  // Our user may not be allowed scripts.
  if (named instanceof RedisRefusal) return;
  if (numberOf(named) === 0)
    throw new SlotMoveStopped(
      `target ${ends.targetId}: epochs or slots have changed while it was made to hear of its source: nothing has been moved`,
    );
  try {
    await look(({ target }) => owns(target, ends.sourceId, slot));
  } catch (error) {
    await run(tell(ends.targetId, ['CLUSTER', 'SETSLOT', slot, 'NODE', ends.sourceId]));
    throw error;
  }
}

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

/** Looks until it is so, and has the source speak to the target meanwhile, which it does within a tenth of a second. */
async function untilSettled(
  ends: Ends,
  { isSettled, deadlineMs }: { readonly isSettled: (views: Views) => boolean; readonly deadlineMs: number },
  { run, clock }: SettleComponents,
): Promise<Views> {
  for (let polls = 0; ; polls++) {
    const views = await run(viewsOf(ends));
    if (isSettled(views)) return views;
    if (clock.monotonicMs() >= deadlineMs)
      throw new SlotMoveStopped(
        `target ${ends.targetId} has not heard from source ${ends.sourceId} for ${SETTLE_MS_MAX} ms, or its epoch is another's as well: nothing has been moved; see that the nodes reach each other's cluster bus ports (CLUSTER NODES, redis-cli --cluster check)`,
      );
    if (polls % POLLS_PER_MEET === 0) await run(speak(ends, views));
    // To tell of hundreds of nodes holds a server for a millisecond.
    await clock.sleep(polls < PROMPT_POLLS ? POLL_MS : POLL_MS * 10);
  }
}

function* viewsOf({ sourceId, targetId }: Ends): Steps<Views> {
  const replies = yield { to: [sourceId, targetId], commands: [['CLUSTER', 'NODES']] };
  const [source, target] = replies.map((of) => parseClusterNodes(textOf(of[0]), ''));
  return { source: source ?? [], target: target ?? [] };
}

/** Whoever is a member already is only greeted. A user who may not greet waits for the next heartbeat. */
const speak = ({ sourceId, targetId }: Ends, { source }: Views): Steps<void> =>
  greet(
    sourceId,
    source.filter(({ nodeId }) => nodeId === targetId),
  );

/** One that does not know its master's epoch is not voted for by those who do, if that master dies now. */
const greetReplicas = ({ sourceId }: Ends, { source }: Views): Steps<void> =>
  greet(
    sourceId,
    source.filter(({ masterId, health }) => masterId === sourceId && health === 'ok'),
  );

function* greet(nodeId: string, met: readonly NodeView[]): Steps<void> {
  yield* ask(
    nodeId,
    met.flatMap(({ host, port, busPort }): RedisCommand[] =>
      busPort === null ? [] : [['CLUSTER', 'MEET', host, port, busPort]],
    ),
  );
}

function* tell(nodeId: string, command: RedisCommand): Steps<void> {
  const [reply] = yield* ask(nodeId, [command]);
  if (reply instanceof RedisRefusal)
    throw new SlotMoveStopped(`node ${nodeId}: ${command.slice(0, 2).join(' ')}: ${reply.message}`);
}

/** Found on 7.0.15, and ended in a release of 7.2 at the latest: for 7.2 it is done in vain, in a tenth of a second. */
function* keepsDoubts(nodeId: string): Steps<boolean> {
  const [reply] = yield* ask(nodeId, [['INFO', 'server']]);
  const text = textOf(reply);
  const [major, minor, patch] = (/^redis_version:(\d+)\.(\d+)\.(\d+)/m.exec(text) ?? []).slice(1).map(Number);
  if (/^valkey_version:/m.test(text) || major !== 7) return false;
  return (minor === 0 && (patch as number) >= 12) || minor === 2;
}

function isEpochHeard({ sourceId }: Ends, { source, target }: Views): boolean {
  const epoch = epochOf(source, sourceId);
  const isAlone = (nodes: readonly NodeView[]): boolean =>
    nodes.filter((node) => isMaster(node) && node.configEpoch === epoch).length === 1;
  return epochOf(target, sourceId) === epoch && isAlone(source) && isAlone(target);
}

/** What the source answers to PINGs goes by a connection of its own, which may be the slower one. */
const isAnswerDue = ({ sourceId }: Ends, { target }: Views): boolean =>
  target.find(({ nodeId }) => nodeId === sourceId)?.isPinged === true;

/** A slot that both know to be the source's, and that nobody is moving. */
function closedSlotOf({ sourceId }: Ends, { source, target }: Views): number | null {
  const open = new Set([...source, ...target].flatMap(({ openSlots }) => openSlots.map(({ slot }) => slot)));
  for (const [first, last] of source.find(({ nodeId }) => nodeId === sourceId)?.slots ?? [])
    for (let slot = first; slot <= last; slot++)
      if (!open.has(slot) && owns(target, sourceId, slot)) return slot;
  return null;
}

/** A master of a lesser epoch than the source's, as both know it: neither would take the slot to be its own for what the target says. */
function witnessOf(ends: Ends, { source, target }: Views): string | null {
  const epoch = epochOf(source, ends.sourceId);
  const found = othersIn(ends, target).find(
    ({ nodeId, configEpoch }) => configEpoch < epoch && epochOf(source, nodeId) === configEpoch,
  );
  return found?.nodeId ?? null;
}

const othersIn = ({ sourceId, targetId }: Ends, nodes: readonly NodeView[]): readonly NodeView[] =>
  nodes.filter((node) => isMaster(node) && node.nodeId !== sourceId && node.nodeId !== targetId);

const isMaster = ({ role, health, isJoining }: NodeView): boolean =>
  role === 'master' && health === 'ok' && !isJoining;

const epochOf = (nodes: readonly NodeView[], nodeId: string): number =>
  nodes.find((node) => node.nodeId === nodeId)?.configEpoch ?? Number.NaN;

const owns = (nodes: readonly NodeView[], nodeId: string, slot: number): boolean =>
  nodes
    .find((node) => node.nodeId === nodeId)
    ?.slots.some(([first, last]) => first <= slot && slot <= last) ?? false;
