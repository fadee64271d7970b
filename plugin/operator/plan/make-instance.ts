import { withBreachPrice } from '../../../src/affinity/breach-price.ts';
import { BANDWIDTH_DEFAULT, limitsOf, type PlacementInstance } from '../../../src/affinity/instance.ts';
import { buildLoads, type LoadTable } from '../../../src/affinity/loads.ts';
import { withPrices } from '../../../src/affinity/move-price.ts';
import { normalQuantile } from '../../../src/affinity/normal-quantile.ts';
import { roomIn } from '../../../src/affinity/room.ts';
import {
  type CompiledRules,
  compileRules,
  type RuleGround,
  type RuleSet,
} from '../../../src/affinity/rule-set.ts';
import { neutralRules } from '../../../src/affinity/rules.ts';
import type { AffinitySettings } from '../../../src/affinity/settings.ts';
import { parseMoveWindows, WINDOW_FORMAT } from '../../../src/affinity/timetable/windows.ts';
import { ForeshardError } from '../../../src/base/errors.ts';
import type { PlanInstanceFile } from './instance-schema.ts';
import { mistakeIn } from './read-instance.ts';

/** An instance file in the planner's numbers, and the names to give them back by. */
export interface NamedInstance {
  readonly instance: PlacementInstance;
  readonly units: readonly (readonly number[])[];
  readonly resources: readonly string[];
  readonly partitionIds: readonly string[];
  readonly nodeIds: readonly string[];
  readonly slotSeconds: number;
  /** Wall clock of slot 0, milliseconds; null where the file names none. */
  readonly startMs: number | null;
  /** Copies out of a node, and as many into it, at one time. */
  readonly copiesPerNodeMax: number;
  /** Times of the week in which moves may run; none: any time. */
  readonly windows: readonly string[];
}

/** The 90 % quantile: upper bound of an 80 % interval, as forecasts have it. */
const UPPER_LEVEL_DEFAULT = 0.9;

/** A resource of this name is a limit and not a cost, and held on both nodes while a partition moves. */
const MEMORY = 'memory';

type Section = Readonly<Record<string, number | readonly number[]>>;

/**
 * Turns a file into a placement problem with the file's own resources.
 *
 * @throws ForeshardError FORESHARD_CONFIG for unknown or duplicate names, lists of unequal length, numbers that cannot be
 *   and rules that cannot all hold; each names the file.
 */
export function makeInstance(
  file: string,
  content: PlanInstanceFile,
  settings: AffinitySettings,
): NamedInstance {
  try {
    return new InstanceMaker(file, content, settings).make();
  } catch (error) {
    // Loads and rules are refused by the planner as well, which does not know where they were read.
    if (!(error instanceof ForeshardError) || error.message.startsWith(mistakeIn(file, '').message))
      throw error;
    throw mistakeIn(file, error.message);
  }
}

class InstanceMaker {
  readonly #file: string;
  readonly #content: PlanInstanceFile;
  readonly #settings: AffinitySettings;
  readonly #nodeIndex: ReadonlyMap<string, number>;
  readonly #partitionIndex: ReadonlyMap<string, number>;
  readonly #resources: readonly string[];
  readonly #home: Int32Array;

  constructor(file: string, content: PlanInstanceFile, settings: AffinitySettings) {
    this.#file = file;
    this.#content = content;
    this.#settings = settings;
    this.#nodeIndex = this.#indexed('nodes', content.nodes);
    this.#partitionIndex = this.#indexed('partitions', content.partitions);
    this.#resources = this.#namedResources();
    this.#home = Int32Array.from(content.partitions, ({ node }, p) =>
      this.#find(this.#nodeIndex, node, `partitions[${p}].node`),
    );
  }

  make(): NamedInstance {
    const { nodes, partitions, rules = {}, slotSeconds, startTime } = this.#content;
    if (startTime === undefined && rules.windows !== undefined)
      throw this.#mistake('rules.windows are times of the week: state startTime, when slot 0 begins');
    this.#assertWindows(rules.windows);
    const slotCount = this.#slotCount();
    this.#assertUppers(slotCount);
    const loads = buildLoads(this.#table(slotCount), this.#settings);
    const shape = { partitionCount: partitions.length, nodeCount: nodes.length, ...loads };
    const bytes = Float64Array.from(partitions, ({ sizeBytes }) => sizeBytes);
    const bare = {
      ...neutralRules(shape),
      ...shape,
      ...limitsOf(this.#settings),
      movesMax: rules.movesMax ?? partitions.length,
      nodeMovesMax: rules.nodeMovesMax ?? partitions.length,
      bytesMovedMax: rules.bytesMovedMax ?? Number.POSITIVE_INFINITY,
      home: this.#home,
      isMovable: new Uint8Array(partitions.length).fill(1),
      isTarget: Uint8Array.from(nodes, ({ isDraining }) => (isDraining === true ? 0 : 1)),
      holdPenalty: Float64Array.from(nodes, ({ isDraining }) => (isDraining === true ? 1 : 0)),
      bytes,
      bytesFree: Float64Array.from(nodes, ({ freeBytes }) => freeBytes ?? Number.POSITIVE_INFINITY),
      isTransient: Uint8Array.from(this.#resources, (name) => (this.#isTransient(name) ? 1 : 0)),
      bandwidth: Float64Array.from(
        nodes,
        (node) => node.bandwidthBytesPerSecond ?? this.#content.bandwidthBytesPerSecond ?? BANDWIDTH_DEFAULT,
      ),
      dirtyRate: Float64Array.from(partitions, ({ dirtyBytesPerSecond }) => dirtyBytesPerSecond ?? 0),
    };
    const priced = (instance: typeof bare): PlacementInstance =>
      withPrices(instance, this.#settings, (slotCount * slotSeconds) / 3600);
    const { units, isPinned, ...compiled } = this.#rules({ ...bare, hasRoom: roomIn(() => priced(bare)) });
    return {
      instance: withBreachPrice(
        priced({ ...bare, ...compiled, isMovable: isPinned.map((pinned) => 1 - pinned) }),
        this.#settings.benefitCostRatio,
      ),
      units,
      resources: this.#resources,
      partitionIds: partitions.map(({ id }) => id),
      nodeIds: nodes.map(({ id }) => id),
      slotSeconds,
      startMs: startTime === undefined ? null : Date.parse(startTime),
      copiesPerNodeMax: rules.copiesPerNodeMax ?? 1,
      windows: rules.windows ?? [],
    };
  }

  #indexed(place: string, list: readonly { readonly id: string }[]): Map<string, number> {
    const index = new Map<string, number>();
    list.forEach(({ id }, i) => {
      const other = index.get(id);
      if (other !== undefined)
        throw this.#mistake(`${place}[${i}].id is "${id}", as ${place}[${other}].id is`);
      index.set(id, i);
    });
    return index;
  }

  #find(index: ReadonlyMap<string, number>, id: string, place: string): number {
    const found = index.get(id);
    if (found === undefined) throw this.#mistake(`${place} names "${id}", which the file does not have`);
    return found;
  }

  /** Of the nodes: every node has to state a capacity for each. */
  #namedResources(): string[] {
    const { nodes, partitions, resources = {} } = this.#content;
    const names = Object.keys(nodes[0]?.capacity ?? {});
    if (names.length === 0) throw this.#mistake('nodes[0].capacity names no resource');
    const known = new Set(names);
    const assertKnown = (place: string, section: object = {}): void => {
      for (const name of Object.keys(section))
        if (!known.has(name))
          throw this.#mistake(`${place} names resource "${name}", for which nodes[0] has no capacity`);
    };
    nodes.forEach((node, n) => {
      for (const name of names)
        if (node.capacity[name] === undefined) throw this.#mistake(`nodes[${n}].capacity.${name} is missing`);
      assertKnown(`nodes[${n}].capacity`, node.capacity);
      assertKnown(`nodes[${n}].background`, node.background);
      assertKnown(`nodes[${n}].utilisation`, node.utilisation);
      if (node.background !== undefined && node.utilisation !== undefined)
        throw this.#mistake(`nodes[${n}] has both background and utilisation: state one of them`);
    });
    partitions.forEach((partition, p) => {
      assertKnown(`partitions[${p}].load`, partition.load);
      assertKnown(`partitions[${p}].upper`, partition.upper);
    });
    assertKnown('resources', resources);
    if (names.every((name) => this.#weightOf(name) === 0))
      throw this.#mistake('no resource has a weight above 0: nothing would be gained by moving');
    return names;
  }

  #weightOf(name: string): number {
    return this.#content.resources?.[name]?.weight ?? (name === MEMORY ? 0 : 1);
  }

  #isTransient(name: string): boolean {
    return this.#content.resources?.[name]?.isTransient ?? name === MEMORY;
  }

  /** Lists have one length; a file without a list has one slot. */
  #slotCount(): number {
    let first: { place: string; length: number } | undefined;
    const look = (place: string, section: Section = {}): void => {
      for (const [name, values] of Object.entries(section)) {
        if (typeof values === 'number') continue;
        first ??= { place: `${place}.${name}`, length: values.length };
        if (values.length !== first.length)
          throw this.#mistake(
            `${place}.${name} has ${values.length} slots, ${first.place} has ${first.length}: state as many everywhere`,
          );
      }
    };
    this.#content.partitions.forEach(({ load, upper }, p) => {
      look(`partitions[${p}].load`, load);
      look(`partitions[${p}].upper`, upper);
    });
    this.#content.nodes.forEach(({ background, utilisation }, n) => {
      look(`nodes[${n}].background`, background);
      look(`nodes[${n}].utilisation`, utilisation);
    });
    return first?.length ?? 1;
  }

  #assertUppers(slotCount: number): void {
    this.#content.partitions.forEach(({ load, upper = {} }, p) => {
      for (const name of Object.keys(upper))
        for (let t = 0; t < slotCount; t++) {
          const own = at(upper, name, t) as number;
          const mean = at(load, name, t) ?? 0;
          if (own < mean)
            throw this.#mistake(
              `partitions[${p}].upper.${name} is ${own} in slot ${t}, below its load of ${mean}`,
            );
        }
    });
  }

  #assertWindows(windows: readonly string[] = []): void {
    windows.forEach((window, i) => {
      try {
        parseMoveWindows([window]);
      } catch {
        throw this.#mistake(
          `rules.windows[${i}] is ${JSON.stringify(window)}, and must be such as ${WINDOW_FORMAT}`,
        );
      }
    });
  }

  #table(slotCount: number): LoadTable {
    const { nodes, partitions, slotSeconds, upperLevel = UPPER_LEVEL_DEFAULT } = this.#content;
    const names = this.#resources;
    const mean = (p: number, r: number, t: number): number =>
      at(partitions[p]?.load, names[r] as string, t) ?? 0;
    const ownLoad = this.#ownLoads(mean, slotCount);
    return {
      partitionCount: partitions.length,
      nodeCount: nodes.length,
      slotCount,
      slotHours: slotSeconds / 3600,
      resources: names.map((name) => ({ name, weight: this.#weightOf(name) })),
      upperZ: normalQuantile(upperLevel),
      mean,
      point: mean,
      upper: (p, r, t) => at(partitions[p]?.upper, names[r] as string, t) ?? mean(p, r, t),
      background: (n, r, t) => {
        const name = names[r] as string;
        const measured = at(nodes[n]?.utilisation, name, t);
        // What is measured holds the partitions' own load: counted twice, a node would look full for its own sake.
        return measured === undefined
          ? (at(nodes[n]?.background, name, t) ?? 0)
          : Math.max(0, measured - ownLoad(n, r, t));
      },
      capacity: (n, r) => nodes[n]?.capacity[names[r] as string] ?? 0,
      isAlive: () => true,
      partitionName: (p) => `partitions[${p}] ("${partitions[p]?.id}")`,
      nodeName: (n) => `nodes[${n}] ("${nodes[n]?.id}")`,
    };
  }

  /** Load of a node's own partitions, by resource and slot. */
  #ownLoads(mean: LoadTable['mean'], slotCount: number): (n: number, r: number, t: number) => number {
    const { nodes, partitions } = this.#content;
    if (!nodes.some(({ utilisation }) => utilisation !== undefined)) return () => 0;
    const resourceCount = this.#resources.length;
    const sums = new Float64Array(nodes.length * resourceCount * slotCount);
    const cell = (n: number, r: number, t: number): number => (n * resourceCount + r) * slotCount + t;
    for (let p = 0; p < partitions.length; p++)
      for (let r = 0; r < resourceCount; r++)
        for (let t = 0; t < slotCount; t++) sums[cell(this.#home[p] as number, r, t)]! += mean(p, r, t);
    return (n, r, t) => sums[cell(n, r, t)] as number;
  }

  #rules(ground: Required<Pick<RuleGround, 'bytes' | 'isTarget' | 'hasRoom'>>): CompiledRules {
    const { nodes, partitions, rules = {} } = this.#content;
    const indexes = <Rule extends { readonly partitions: readonly string[] }>(
      kind: keyof RuleSet,
      list: readonly Rule[] = [],
    ) =>
      list.map((rule, i) => ({
        ...rule,
        partitions: rule.partitions.map((id) =>
          this.#find(this.#partitionIndex, id, `rules.${kind}[${i}].partitions`),
        ),
      }));
    const node = (id: string, place: string): number => this.#find(this.#nodeIndex, id, place);
    const set: RuleSet = {
      pinned: indexes('pinned', rules.pinned).map(({ partitions: own, node: id }, i) => ({
        partitions: own,
        ...(id === undefined ? {} : { node: node(id, `rules.pinned[${i}].node`) }),
      })),
      forbidden: indexes('forbidden', rules.forbidden).map((rule, i) => ({
        ...rule,
        nodes: rule.nodes.map((id) => node(id, `rules.forbidden[${i}].nodes`)),
      })),
      zones: indexes('zones', rules.zones).map((rule, i) => {
        const unknown = rule.zones.find((name) => !nodes.some(({ zone }) => zone === name));
        if (unknown !== undefined)
          throw this.#mistake(`rules.zones[${i}].zones names "${unknown}", the zone of no node`);
        return rule;
      }),
      apart: indexes('apart', rules.apart).map(({ partitions: own, zonesMin }) => ({
        partitions: own,
        ...(zonesMin === undefined ? {} : { zonesMin }),
      })),
      together: indexes('together', rules.together),
    };
    return compileRules(set, {
      partitionCount: partitions.length,
      nodeCount: nodes.length,
      home: this.#home,
      bytes: ground.bytes,
      isTarget: ground.isTarget,
      hasRoom: ground.hasRoom,
      nodeZones: nodes.map(({ zone }) => zone ?? ''),
      partitionName: (p) => `"${partitions[p]?.id}"`,
      nodeName: (n) => `"${nodes[n]?.id}"`,
    });
  }

  #mistake(what: string) {
    return mistakeIn(this.#file, what);
  }
}

function at(section: Section | undefined, name: string, slot: number): number | undefined {
  const values = section?.[name];
  return typeof values === 'object' ? values[slot] : values;
}
