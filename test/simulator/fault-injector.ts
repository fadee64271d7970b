/** Carries out the faults of a scenario, and mends everything in the end. */
import { isSwitched } from '../../src/migration/phases.ts';
import type { RecordCodec } from '../../src/migration/records/records.ts';
import type { MigrationRecord } from '../../src/model/migration.ts';
import type { SimClock } from './clock.ts';
import type { SimCoordinator } from './coordinator.ts';
import type { LossOperator } from './loss-operator.ts';
import type { SimMetadata } from './metadata.ts';
import type { SimNetwork } from './network.ts';
import type { Ambush, End, Fault, TimedFault } from './scenario.ts';
import type { SimNode } from './storage-node.ts';

export interface FaultyWorld {
  readonly clock: SimClock;
  readonly network: SimNetwork;
  readonly metadata: SimMetadata;
  readonly codec: RecordCodec;
  readonly nodes: readonly SimNode[];
  readonly coordinators: readonly SimCoordinator[];
  readonly lossOperator: LossOperator;
  /** An operator's wall clock. */
  readonly wallMs: () => number;
  readonly startCoordinator: (index: number) => void;
  /** By how much a machine's wall clock is wrong. */
  readonly wallOffsets: Map<End, number>;
}

/** After a failed commit somebody notices so late. */
const RESTART_AFTER_FAILURE_MS = 150;
const RESTART_AFTER_CRASH_MS = 60;
/** Of a node that an operator takes for dead. */
const UNREACHED_MS = 400;
/** What an operator asked for is forgotten after so long. */
const REQUEST_MS_MAX = 1_000;

export class FaultInjector {
  readonly #world: FaultyWorld;
  isHealed = false;
  #requestCount = 0;
  #ambushes: { readonly ambush: Ambush; skipCount: number }[] = [];

  constructor(world: FaultyWorld) {
    this.#world = world;
  }

  plan(faults: readonly TimedFault[], ambushes: readonly Ambush[]): void {
    for (const { atMs, fault } of faults) this.#beginAfter(atMs, fault);
    this.#ambushes = ambushes.map((ambush) => ({ ambush, skipCount: ambush.skipCount }));
  }

  /** A migration has entered a phase. */
  phaseEntered(partitionId: number, { phase, sourceNodeId, targetNodeId }: MigrationRecord): void {
    this.#ambushes = this.#ambushes.filter((waiting) => {
      if (waiting.ambush.phase !== phase || waiting.skipCount-- > 0) return true;
      const { kind } = waiting.ambush;
      if (kind === 'cancel' || kind === 'rollback') {
        this.#world.clock.after(waiting.ambush.delayMs, () => this.#request(kind, partitionId));
        return false;
      }
      const { victim, delayMs } = waiting.ambush;
      if (kind === 'loss' || kind === 'retire') {
        const ownerNodeId = isSwitched(phase) ? targetNodeId : sourceNodeId;
        const otherNodeId = isSwitched(phase) ? sourceNodeId : targetNodeId;
        const nodeId = victim === 'target' ? otherNodeId : ownerNodeId;
        this.#world.clock.after(delayMs, () => (kind === 'loss' ? this.#lose(nodeId) : this.#retire(nodeId)));
        return false;
      }
      const leader = this.#world.coordinators.findIndex((coordinator) => coordinator.isLeading);
      const process =
        victim === 'coordinator'
          ? `c${Math.max(0, leader)}`
          : `n${victim === 'source' ? sourceNodeId : targetNodeId}`;
      const other = `n${victim === 'source' ? targetNodeId : sourceNodeId}`;
      this.#beginAfter(delayMs, faultOf(waiting.ambush, process, other));
      return false;
    });
  }

  #beginAfter(delayMs: number, fault: Fault): void {
    this.#world.clock.after(delayMs, () => {
      if (!this.isHealed) this.#begin(fault);
    });
  }

  #begin(fault: Fault): void {
    const { metadata, nodes, wallOffsets } = this.#world;
    switch (fault.kind) {
      case 'crash':
        this.#restart(fault.process, fault.downMs);
        break;
      case 'stop':
        this.#lifeOf(fault.process)?.stopFor(fault.forMs);
        break;
      case 'cut':
        this.#cut(fault.from, fault.to, fault.forMs);
        if (fault.isBothWays) this.#cut(fault.to, fault.from, fault.forMs);
        break;
      case 'disk':
        nodes[fault.nodeId]?.disk.arm(fault.fault, fault.forMs);
        break;
      case 'disk-full': {
        const disk = nodes[fault.nodeId]?.disk;
        if (disk) this.#during(fault.forMs, (isFull) => Object.assign(disk, { isFull }));
        break;
      }
      case 'clock-jump':
        wallOffsets.set(fault.process, fault.byMs);
        break;
      case 'metadata-down':
        this.#during(fault.forMs, (isDown) => Object.assign(metadata, { isDown }));
        break;
      case 'metadata-full':
        this.#during(fault.forMs, (isFull) => Object.assign(metadata, { isFull }));
        break;
      case 'operator-pause':
        this.#during(fault.forMs, (isPaused) => this.#pause(isPaused));
        break;
    }
  }

  #cut(from: End, to: End, forMs: number): void {
    const { network } = this.#world;
    this.#during(forMs, (isCut) => (isCut ? network.cut(from, to) : network.mend(from, to)));
  }

  #during(forMs: number, set: (isOn: boolean) => void): void {
    set(true);
    this.#world.clock.after(forMs, () => {
      if (!this.isHealed) set(false);
    });
  }

  /** A fault of a disk has killed the node, or has left it with a store that takes no writes. */
  diskFailed(node: SimNode): void {
    if (node.disk.failure === null) {
      this.#restartNode(node, RESTART_AFTER_CRASH_MS);
      return;
    }
    const { life } = node;
    this.#world.clock.after(RESTART_AFTER_FAILURE_MS, () => {
      if (node.life === life) this.#restartNode(node, RESTART_AFTER_CRASH_MS);
    });
  }

  heal(): void {
    const { network, metadata, nodes, coordinators, wallOffsets } = this.#world;
    this.isHealed = true;
    network.mendAll();
    metadata.isDown = metadata.isFull = false;
    wallOffsets.clear();
    this.#pause(false);
    for (const node of nodes) {
      node.disk.heal();
      node.life?.resume();
      if (!node.life) void node.start();
    }
    coordinators.forEach(({ life }, index) => {
      if (life.isOver) this.#world.startCoordinator(index);
      else life.resume();
    });
  }

  #pause(isPaused: boolean): void {
    const { metadata, codec } = this.#world;
    const key = codec.keys.pause;
    if (isPaused) metadata.commitNow({ conditions: [], writes: [{ kind: 'put', key, value: PAUSE }] });
    else metadata.commitNow({ conditions: [], writes: [{ kind: 'delete', key }] });
  }

  #lose(nodeId: number): void {
    const { nodes, lossOperator } = this.#world;
    const node = nodes[nodeId];
    if (this.isHealed || !node || nodes.some(({ isGone }) => isGone)) return;
    node.lose();
    lossOperator.lost(node);
  }

  /** An operator takes a node for dead that only cannot be reached from the coordinators, or stands still. */
  #retire(nodeId: number): void {
    const { nodes, coordinators, lossOperator } = this.#world;
    const node = nodes[nodeId];
    if (this.isHealed || !node || nodes.some(({ isGone }) => isGone)) return;
    coordinators.forEach((_, index) => {
      this.#cut(`c${index}`, `n${nodeId}`, UNREACHED_MS);
    });
    lossOperator.retire(node);
  }

  #request(action: 'cancel' | 'rollback', partitionId: number): void {
    const { metadata, codec, wallMs } = this.#world;
    if (this.isHealed || metadata.isFull) return;
    const request = {
      requestId: `${action}-${++this.#requestCount}`,
      action,
      partitionId,
      by: 'operator',
      reason: 'simulated',
      atMs: wallMs(),
      expiresAtMs: wallMs() + REQUEST_MS_MAX,
    };
    const key = codec.keys.request(partitionId);
    metadata.commitNow({
      conditions: [],
      writes: [{ kind: 'put', key, value: codec.encodeRequest(request) }],
    });
  }

  #lifeOf(process: End) {
    const { nodes, coordinators } = this.#world;
    const index = Number(process.slice(1));
    return process[0] === 'n' ? nodes[index]?.life : coordinators[index]?.life;
  }

  #restart(process: End, downMs: number): void {
    const { nodes, coordinators, clock, startCoordinator } = this.#world;
    const index = Number(process.slice(1));
    if (process[0] === 'n') {
      const node = nodes[index];
      if (node) this.#restartNode(node, downMs);
      return;
    }
    const coordinator = coordinators[index];
    if (!coordinator || coordinator.life.isOver) return;
    coordinator.life.end();
    clock.after(downMs, () => {
      if (this.#world.coordinators[index]?.life.isOver) startCoordinator(index);
    });
  }

  #restartNode(node: SimNode, downMs: number): void {
    if (!node.life) return;
    node.crash();
    this.#world.clock.after(downMs, () => {
      if (!node.life) void node.start();
    });
  }
}

function faultOf({ kind, diskFault, forMs }: Ambush, process: End, other: End): Fault {
  switch (kind) {
    case 'crash':
      return { kind, process, downMs: forMs };
    case 'stop':
      return { kind, process, forMs };
    case 'cut':
      return { kind, from: process, to: other, isBothWays: forMs > 200, forMs };
    case 'disk':
      // A coordinator keeps nothing on a disk.
      if (process.startsWith('c')) return { kind: 'crash', process, downMs: forMs };
      return { kind, nodeId: Number(process.slice(1)), fault: diskFault, forMs };
    default:
      throw new TypeError(`${kind} is no fault`);
  }
}

const PAUSE = new TextEncoder().encode('{}');
