import type { LoadTable } from '../../../src/affinity/loads.ts';
import { normalQuantile } from '../../../src/affinity/normal-quantile.ts';
import type { InstanceNames } from './instance-names.ts';
import type { PlanInstanceFile } from './instance-schema.ts';

/** The 90 % quantile: upper bound of an 80 % interval, as forecasts have it. */
const UPPER_LEVEL_DEFAULT = 0.9;

/** A resource of this name is a limit and not a cost, and held on both nodes while a partition moves. */
const MEMORY = 'memory';

/** A measured node may lack so much of what its partitions are said to do before it is noted: measures are rounded. */
const LACK_NOTED = 0.01;

type Section = Readonly<Record<string, number | readonly number[]>>;

/** What of a file is load and capacity, checked, by resource and slot. */
export interface InstanceLoads {
  readonly table: LoadTable;
  /** u8[resource]: 1 for what a partition that moves takes on both nodes. */
  readonly isTransient: Uint8Array;
  /** What is legal and yet looks like a mistake, in words. */
  readonly notes: readonly string[];
}

/**
 * @param home i32[partition].
 * @throws ForeshardError FORESHARD_CONFIG for resources and numbers of slots that do not fit each other.
 */
export function instanceLoads(
  content: PlanInstanceFile,
  names: InstanceNames,
  home: Int32Array,
): InstanceLoads {
  return new LoadReader(content, names, home).read();
}

class LoadReader {
  readonly #content: PlanInstanceFile;
  readonly #names: InstanceNames;
  readonly #home: Int32Array;
  readonly #resources: readonly string[];
  readonly #slotCount: number;

  constructor(content: PlanInstanceFile, names: InstanceNames, home: Int32Array) {
    this.#content = content;
    this.#names = names;
    this.#home = home;
    this.#resources = this.#namedResources();
    this.#slotCount = this.#countSlots();
    this.#assertUppers();
    names.assertNoMistakes();
  }

  read(): InstanceLoads {
    const isTransient = (name: string): boolean =>
      ownOf(this.#content.resources, name)?.isTransient ?? name === MEMORY;
    const ownLoad = this.#ownLoads();
    return {
      table: this.#table(ownLoad),
      isTransient: Uint8Array.from(this.#resources, (name) => (isTransient(name) ? 1 : 0)),
      notes: this.#notes(ownLoad),
    };
  }

  /** Of the nodes: every node has to state a capacity for each. */
  #namedResources(): string[] {
    const { nodes, partitions, resources = {} } = this.#content;
    const known = Object.keys(nodes[0]?.capacity ?? {});
    if (known.length === 0) throw this.#names.mistake('nodes[0].capacity names no resource');
    const assertKnown = (place: string, section: object = {}): void => {
      for (const name of Object.keys(section))
        if (!known.includes(name))
          this.#names.note(`${place} names resource "${name}", for which nodes[0] has no capacity`);
    };
    nodes.forEach((node, n) => {
      for (const name of known)
        if (ownOf(node.capacity, name) === undefined)
          this.#names.note(`nodes[${n}].capacity.${name} is missing`);
      assertKnown(`nodes[${n}].capacity`, node.capacity);
      assertKnown(`nodes[${n}].background`, node.background);
      assertKnown(`nodes[${n}].utilisation`, node.utilisation);
      if (node.background !== undefined && node.utilisation !== undefined)
        this.#names.note(`nodes[${n}] has both background and utilisation: state one of them`);
    });
    partitions.forEach((partition, p) => {
      assertKnown(`partitions[${p}].load`, partition.load);
      assertKnown(`partitions[${p}].upper`, partition.upper);
    });
    assertKnown('resources', resources);
    if (known.every((name) => this.#weightOf(name) === 0))
      this.#names.note('no resource has a weight above 0: nothing would be gained by moving');
    return known;
  }

  #weightOf(name: string): number {
    return ownOf(this.#content.resources, name)?.weight ?? (name === MEMORY ? 0 : 1);
  }

  /** Lists have one length; a file without a list has one slot. */
  #countSlots(): number {
    let first: { place: string; length: number } | undefined;
    const look = (place: string, section: Section = {}): void => {
      for (const [name, values] of Object.entries(section)) {
        if (typeof values === 'number') continue;
        first ??= { place: `${place}.${name}`, length: values.length };
        if (values.length !== first.length)
          this.#names.note(
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

  #assertUppers(): void {
    this.#content.partitions.forEach(({ load, upper = {} }, p) => {
      for (const name of Object.keys(upper))
        for (let t = 0; t < this.#slotCount; t++) {
          const own = at(upper, name, t) as number;
          const mean = at(load, name, t) ?? 0;
          if (own >= mean) continue;
          this.#names.note(
            `partitions[${p}].upper.${name} is ${own} in slot ${t}, below its load of ${mean}`,
          );
          break; // the first slot says it
        }
    });
  }

  #table(ownLoad: OwnLoads): LoadTable {
    const { nodes, partitions, slotSeconds, upperLevel = UPPER_LEVEL_DEFAULT } = this.#content;
    const names = this.#resources;
    return {
      partitionCount: partitions.length,
      nodeCount: nodes.length,
      slotCount: this.#slotCount,
      slotHours: slotSeconds / 3600,
      resources: names.map((name) => ({ name, weight: this.#weightOf(name) })),
      upperZ: normalQuantile(upperLevel),
      mean: this.#mean,
      point: this.#mean,
      upper: (p, r, t) => at(partitions[p]?.upper, names[r] as string, t) ?? this.#mean(p, r, t),
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

  readonly #mean = (p: number, r: number, t: number): number =>
    at(this.#content.partitions[p]?.load, this.#resources[r] as string, t) ?? 0;

  /** Load of a node's own partitions, by resource and slot. */
  #ownLoads(): OwnLoads {
    const { nodes, partitions } = this.#content;
    const resourceCount = this.#resources.length;
    const slotCount = this.#slotCount;
    if (!nodes.some(({ utilisation }) => utilisation !== undefined)) return () => 0;
    const sums = new Float64Array(nodes.length * resourceCount * slotCount);
    const cell = (n: number, r: number, t: number): number => (n * resourceCount + r) * slotCount + t;
    for (let p = 0; p < partitions.length; p++)
      for (let r = 0; r < resourceCount; r++)
        for (let t = 0; t < slotCount; t++) sums[cell(this.#home[p] as number, r, t)]! += this.#mean(p, r, t);
    return (n, r, t) => sums[cell(n, r, t)] as number;
  }

  /** Measures that are less than the load they should hold: of each node and resource the worst slot. */
  #notes(ownLoad: OwnLoads): string[] {
    const notes: string[] = [];
    this.#content.nodes.forEach(({ utilisation }, n) => {
      this.#resources.forEach((name, r) => {
        let worst = { lack: 0, slot: 0 };
        for (let t = 0; t < this.#slotCount; t++) {
          const measured = at(utilisation, name, t);
          if (measured === undefined) continue;
          const lack = ownLoad(n, r, t) - measured;
          if (lack > Math.max(worst.lack, LACK_NOTED * ownLoad(n, r, t))) worst = { lack, slot: t };
        }
        const { lack, slot } = worst;
        if (lack === 0) return;
        notes.push(
          `nodes[${n}].utilisation.${name} is ${at(utilisation, name, slot)} in slot ${slot}, less than the ${ownLoad(n, r, slot)} ` +
            'of its own partitions: taken to have no background',
        );
      });
    });
    return notes;
  }
}

type OwnLoads = (node: number, resource: number, slot: number) => number;

function at(section: Section | undefined, name: string, slot: number): number | undefined {
  const values = ownOf(section, name);
  return typeof values === 'object' ? values[slot] : values;
}

/** What the file says, and never what every object has: a resource may be called `constructor`. */
function ownOf<Value>(section: Readonly<Record<string, Value>> | undefined, name: string): Value | undefined {
  return section !== undefined && Object.hasOwn(section, name) ? section[name] : undefined;
}
