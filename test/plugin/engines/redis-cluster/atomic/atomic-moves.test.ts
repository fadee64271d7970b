/** Servers that move slots by themselves, on a model that follows their documents. */
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { type AtomicKind, rangesOf } from '../../../../../plugin/engines/redis-cluster/atomic/atomic-jobs.ts';
import {
  AtomicMover,
  type JobOrder,
} from '../../../../../plugin/engines/redis-cluster/atomic/atomic-mover.ts';
import { Pace } from '../../../../../plugin/engines/redis-cluster/steps/pace.ts';
import {
  type SlotMove,
  SlotMoveStopped,
} from '../../../../../plugin/engines/redis-cluster/steps/slot-move.ts';
import { runSteps } from '../../../../../plugin/engines/redis-cluster/steps/step-runner.ts';
import { VirtualClock } from '../../../../../src/base/clock.ts';
import { REDIS_DEFAULTS } from '../../../../../src/redis-settings.ts';
import { AtomicRedisCluster } from '../../../../support/atomic-redis-cluster.ts';
import { MemoryRedisCluster } from '../../../../support/memory-redis-cluster.ts';

const test = suite('redis-cluster: atomic moves of slots');
const SLOTS = [10, 11, 12, 40];

/** Sleeps return at once: what they wait for goes on with each look. */
class PatientClock extends VirtualClock {
  override async sleep(): Promise<void> {}
}

function start(kind: AtomicKind) {
  const cluster = new AtomicRedisCluster(3, kind);
  const [source, target, other] = cluster.memory.servers.map(({ nodeId }) => nodeId) as [
    string,
    string,
    string,
  ];
  let keyCount = 0;
  for (let n = 0; keyCount < 8; n++) {
    if (!SLOTS.includes(cluster.memory.slotOf(`key${n}`))) continue;
    cluster.memory.increment(`key${n}`);
    keyCount++;
  }
  const clock = new PatientClock();
  const mover = new AtomicMover({
    run: (steps) =>
      runSteps(steps, {
        nodes: cluster,
        clock,
        pace: new Pace(REDIS_DEFAULTS.slotMove),
        assertMaySend: () => undefined,
      }),
    clock,
    limits: () => ({ replicasMin: 0 }),
  });
  const move: SlotMove = {
    sourceId: source,
    targetId: target,
    targetAddress: { host: '127.0.0.1', port: 7_001 },
    otherMasterIds: [other],
    slots: SLOTS,
    formerIds: [],
    isSourcePromoted: false,
    sourceRunId: null,
  };
  /** Whoever leads goes on with it, and then wants something else. */
  const go = (last: JobOrder = 'go-on', { afterLooks = 0 } = {}) => {
    let looks = 0;
    const order = async (): Promise<JobOrder> => (looks++ < afterLooks ? 'go-on' : last);
    return mover.move(move, kind, { order, mayStart: async () => true });
  };
  const owners = () => new Set(SLOTS.map((slot) => cluster.memory.servers[2]?.ownerOf[slot]));
  return { cluster, mover, move, go, owners, source, target, other, keyCount };
}

async function refusalOf(work: Promise<unknown>): Promise<string> {
  const error = await work.then(
    () => null,
    (caught: unknown) => caught,
  );
  check.instance(error, SlotMoveStopped);
  return (error as SlotMoveStopped).message;
}

test('slots are told as ranges', () => {
  check.equal(rangesOf([12, 3, 1, 2]), [
    [1, 3],
    [12, 12],
  ]);
});

for (const kind of ['import', 'export'] as const) {
  test(`${kind}: it is found out by asking both servers`, async () => {
    const { mover, move } = start(kind);
    check.is(await mover.kindOf(move), kind);
    const old = new MemoryRedisCluster(3);
    const ofOld = new AtomicMover({
      run: (steps) =>
        runSteps(steps, {
          nodes: old,
          clock: new VirtualClock(),
          pace: new Pace(REDIS_DEFAULTS.slotMove),
          assertMaySend: () => undefined,
        }),
      clock: new VirtualClock(),
      limits: () => ({ replicasMin: 0 }),
    });
    check.is(await ofOld.kindOf(move), null);
  });

  test(`${kind}: one job moves all slots, and every key once`, async () => {
    const { cluster, go, owners, target, keyCount } = start(kind);
    const outcome = await go();
    check.equal(outcome.committedSlots, SLOTS);
    check.is(outcome.movedKeyCount, keyCount);
    check.is(outcome.failure, null);
    check.equal([...owners()], [target]);
    const [command] = cluster.started;
    const asked =
      kind === 'import'
        ? 'CLUSTER MIGRATION IMPORT 10 12 40 40'
        : `CLUSTER MIGRATESLOTS SLOTSRANGE 10 12 40 40 NODE ${target}`;
    check.equal([cluster.started.length, command?.join(' ')], [1, asked]);
  });

  test(`${kind}: a successor waits for the job of a leader that died, and starts none of its own`, async () => {
    const { cluster, go, owners, target } = start(kind);
    cluster.looksPerJob = 30;
    check.match(await refusalOf(go('leave', { afterLooks: 1 })), /servers go on/);
    check.is(cluster.runningCount, 1);
    await go();
    check.is(cluster.started.length, 1);
    check.equal([...owners()], [target]);
  });

  test(`${kind}: a cancel ends the job, and nothing has moved`, async () => {
    const { cluster, go, owners, source } = start(kind);
    cluster.looksPerJob = 30;
    check.match(await refusalOf(go('leave', { afterLooks: 1 })), /servers go on/);
    const outcome = await go('cancel');
    check.equal(outcome.committedSlots, []);
    check.is(outcome.failure, null);
    check.is(cluster.runningCount, 0);
    check.equal([...owners()], [source]);
  });

  test(`${kind}: a job that fails is tried again, a few times`, async () => {
    const { cluster, go, owners, source, target } = start(kind);
    cluster.failures = 2;
    check.equal((await go()).committedSlots, SLOTS);
    check.equal([...owners()], [target]);
    const stubborn = start(kind);
    stubborn.cluster.failures = 1_000;
    const outcome = await stubborn.go();
    check.match(outcome.failure as string, /output buffer limit/);
    check.is(stubborn.cluster.runningCount, 0, 'nothing is left running');
    check.equal([...stubborn.owners()], [source]);
  });

  test(`${kind}: somebody else’s job is waited for, and never cancelled`, async () => {
    const { cluster, go, source, target } = start(kind);
    cluster.looksPerJob = 30;
    cluster.startForeign(source, target, 77);
    check.match(await refusalOf(go()), /is waited for/);
    check.match(await refusalOf(go('cancel')), /not ours/);
    check.is(cluster.runningCount, 1);
    cluster.endAll();
    check.equal((await go()).committedSlots, SLOTS);
  });

  test(`${kind}: it is given up, with a reason, where somebody cancels its jobs again and again`, async () => {
    const { cluster, mover, move, owners, source } = start(kind);
    const order = async (): Promise<JobOrder> => {
      cluster.endAll();
      return 'go-on';
    };
    const outcome = await mover.move(move, kind, { order, mayStart: async () => true });
    check.equal([...owners()], [source]);
    check.match(outcome.failure as string, /end its jobs without moving anything/);
    check.ok(cluster.started.length <= 4);
  });
}

test.run();
