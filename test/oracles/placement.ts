/**
 * The rules and the objective of placement, slow and from their definitions (docs/affinity.md, docs/plan.md), over an instance
 * file: shares no code with the planner.
 */
export interface OracleFile {
  readonly slotSeconds: number;
  readonly bandwidthBytesPerSecond: number;
  readonly nodes: readonly OracleNode[];
  readonly partitions: readonly OraclePartition[];
  readonly rules: {
    readonly pinned?: readonly { readonly partitions: readonly string[]; readonly node?: string }[];
    readonly forbidden?: readonly {
      readonly partitions: readonly string[];
      readonly nodes: readonly string[];
    }[];
    readonly zones?: readonly { readonly partitions: readonly string[]; readonly zones: readonly string[] }[];
    readonly apart?: readonly { readonly partitions: readonly string[]; readonly zonesMin?: number }[];
    readonly together?: readonly { readonly partitions: readonly string[] }[];
    readonly movesMax?: number;
    readonly nodeMovesMax?: number;
    readonly bytesMovedMax?: number;
  };
}

export interface OracleNode {
  readonly id: string;
  readonly zone?: string;
  readonly capacity: Readonly<Record<string, number>>;
  readonly background?: Readonly<Record<string, number>>;
  readonly freeBytes?: number;
  readonly isDraining?: boolean;
}

export interface OraclePartition {
  readonly id: string;
  readonly node: string;
  readonly sizeBytes: number;
  readonly load: Readonly<Record<string, readonly number[]>>;
  readonly upper: Readonly<Record<string, readonly number[]>>;
  readonly dirtyBytesPerSecond?: number;
}

export interface OracleMove {
  readonly partition: string;
  readonly source: string;
  readonly target: string;
  /** 0 if absent. */
  readonly startSlot?: number;
}

/** Those of the settings that the definitions mention. */
export interface OracleSettings {
  readonly riskZ: number;
  readonly capacityZ: number;
  readonly commonError: number;
  readonly safeUtilisation: number;
  readonly overloadWeight: number;
  readonly moveFixedIndexHours: number;
  readonly moveIndexHoursPerSecond: number;
  readonly moveBlipIndexHours: number;
  readonly copyUtilisation: number;
}

type Owners = ReadonlyMap<string, string>;

/** Of the 90 % quantile, in which the files' upper loads are. */
const UPPER_Z = 1.2815515655446004;
/** A limit and not a cost, and held on both nodes. */
const MEMORY = 'memory';

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

export const startOwners = (file: OracleFile): Map<string, string> =>
  new Map(file.partitions.map(({ id, node }) => [id, node]));

/** The owners after each move, the start first. */
export function ownersAlong(file: OracleFile, moves: readonly OracleMove[]): Map<string, string>[] {
  const all = [startOwners(file)];
  for (const { partition, target } of moves)
    all.push(new Map(all.at(-1)).set(partition, target) as Map<string, string>);
  return all;
}

/** Everything about a plan that is not allowed, in words; empty for a feasible one. */
export function breaches(file: OracleFile, moves: readonly OracleMove[], settings: OracleSettings): string[] {
  const found: string[] = [];
  const start = startOwners(file);
  const moved = new Set<string>();
  for (const { partition, source, target } of moves) {
    if (moved.has(partition)) found.push(`${partition} moves twice`);
    moved.add(partition);
    if (start.get(partition) !== source) found.push(`${partition} is not on ${source}`);
    if (source === target) found.push(`${partition} moves to where it is`);
    found.push(...targetBreaches(file, { partition, source, target }));
  }
  found.push(...budgetBreaches(file, moves));
  const along = ownersAlong(file, moves);
  moves.forEach((move, step) => {
    const owners = along[step + 1] as Owners;
    const source = along[firstStepOf(file, moves, move)] as Owners;
    const settled = mapAfterSet(file, moves, move, along);
    const later = moves.slice(step + 1).map(({ startSlot = 0 }, i) => ({
      startSlot,
      owners: along[step + 2 + i] as Owners,
    }));
    found.push(...capacityBreaches(file, { start, source, owners, settled, move, later }, settings));
    found.push(...groupBreaches(file, start, owners));
  });
  found.push(...togetherBreaches(file, start, ownersAlong(file, moves).at(-1) as Owners));
  return found;
}

function targetBreaches(file: OracleFile, { partition, target }: OracleMove): string[] {
  const { pinned = [], forbidden = [], zones = [] } = file.rules;
  const found: string[] = [];
  const node = file.nodes.find(({ id }) => id === target) as OracleNode;
  const isAbout = (rule: { readonly partitions: readonly string[] }): boolean =>
    rule.partitions.includes(partition);
  if (pinned.some((rule) => isAbout(rule) && rule.node !== target)) found.push(`${partition} is pinned`);
  if (forbidden.some((rule) => isAbout(rule) && rule.nodes.includes(target)))
    found.push(`${partition} is forbidden on ${target}`);
  if (zones.some((rule) => isAbout(rule) && !rule.zones.includes(node.zone ?? '')))
    found.push(`${partition} leaves its zones`);
  if (node.isDraining === true) found.push(`${target} is being emptied`);
  const { dirtyBytesPerSecond = 0 } = file.partitions.find(({ id }) => id === partition) as OraclePartition;
  if (dirtyBytesPerSecond >= file.bandwidthBytesPerSecond) found.push(`${partition} is written too fast`);
  return found;
}

function budgetBreaches(file: OracleFile, moves: readonly OracleMove[]): string[] {
  const { movesMax = Number.POSITIVE_INFINITY, nodeMovesMax = Number.POSITIVE_INFINITY } = file.rules;
  const found: string[] = [];
  const bytesOf = (list: readonly OracleMove[]): number =>
    sum(list.map((move) => file.partitions.find(({ id }) => id === move.partition)?.sizeBytes ?? 0));
  if (moves.length > movesMax) found.push(`${moves.length} moves`);
  if (bytesOf(moves) > (file.rules.bytesMovedMax ?? Number.POSITIVE_INFINITY)) found.push('too many bytes');
  for (const { id, freeBytes = Number.POSITIVE_INFINITY } of file.nodes) {
    const here = moves.filter(({ source, target }) => source === id || target === id);
    if (here.length > nodeMovesMax) found.push(`${here.length} moves of ${id}`);
    if (bytesOf(moves.filter(({ target }) => target === id)) > freeBytes)
      found.push(`the disk of ${id} is full`);
  }
  return found;
}

/** Utilisation of a node, so many deviations above the mean; `held` are the partitions that take from it. */
function utilisation(
  node: OracleNode,
  held: readonly OraclePartition[],
  at: {
    readonly resource: string;
    readonly slot: number;
    readonly deviations: number;
    readonly commonError: number;
  },
): number {
  const { resource, slot } = at;
  const used = (node.background?.[resource] ?? 0) + sum(held.map(({ load }) => load[resource]?.[slot] ?? 0));
  const variance = sum(
    held.map(
      ({ load, upper }) => (((upper[resource]?.[slot] ?? 0) - (load[resource]?.[slot] ?? 0)) / UPPER_Z) ** 2,
    ),
  );
  const spread = Math.sqrt(variance + (at.commonError * used) ** 2);
  return (used + at.deviations * spread) / (node.capacity[resource] as number);
}

const resourcesOf = (file: OracleFile): string[] => Object.keys(file.nodes[0]?.capacity ?? {});
const slotsOf = (file: OracleFile): number[] =>
  Array.from({ length: Object.values(file.partitions[0]?.load ?? {})[0]?.length ?? 1 }, (_, t) => t);

/** The step at which the first partition of the same `together` set goes the same way: such a set is judged as one. */
function firstStepOf(file: OracleFile, moves: readonly OracleMove[], move: OracleMove): number {
  const set = file.rules.together?.find(({ partitions }) => partitions.includes(move.partition))?.partitions;
  return moves.findIndex(
    ({ partition, source, target }) =>
      partition === move.partition ||
      (set?.includes(partition) === true && source === move.source && target === move.target),
  );
}

/** The map when the last partition of the same `together` set has gone the same way. */
function mapAfterSet(
  file: OracleFile,
  moves: readonly OracleMove[],
  move: OracleMove,
  along: readonly Owners[],
): Owners {
  const first = firstStepOf(file, moves, move);
  const last = moves.findLastIndex((other) => firstStepOf(file, moves, other) === first);
  return along[last + 1] as Owners;
}

interface CapacityStep {
  readonly start: Owners;
  /** The map that the source was judged by: just before the move, or before the first of its set. */
  readonly source: Owners;
  /** The map after the move. */
  readonly owners: Owners;
  /** The map after the move, or after the last of its set. */
  readonly settled: Owners;
  readonly move: OracleMove;
  /** The maps after each of the later moves, and the slots in which those begin. */
  readonly later: readonly { readonly startSlot: number; readonly owners: Owners }[];
}

/**
 * In each slot the maps are judged that may be in effect in it: those of moves that begin before it or in it, until the next begins.
 * No step brings a node above its capacity, or above what it had at the start where that was more, but for two cases: the
 * node that takes a partition may go above where it stays less full than the node that gave it was, or where both together
 * are less overloaded by the step, over all slots. Memory, which is held on both nodes, knows no such case; nor does a resource in
 * which no node is above its capacity at the start: then there is no overload to share.
 */
function capacityBreaches(
  file: OracleFile,
  { start, source, owners, settled, move, later }: CapacityStep,
  settings: OracleSettings,
): string[] {
  const found: string[] = [];
  const nodeOf = (id: string): OracleNode => file.nodes.find((node) => node.id === id) as OracleNode;
  const node = nodeOf(move.target);
  for (const resource of resourcesOf(file))
    for (const slot of slotsOf(file)) {
      const at = { resource, slot, deviations: settings.capacityZ, commonError: settings.commonError };
      const rho = (of: OracleNode, isThere: (id: string) => boolean): number =>
        utilisation(
          of,
          file.partitions.filter(({ id }) => isThere(id)),
          at,
        );
      const before = rho(node, (id) => start.get(id) === node.id);
      const isHeld = (id: string): boolean => resource === MEMORY && start.get(id) === node.id;
      const after = rho(node, (id) => owners.get(id) === node.id || isHeld(id));
      if (after <= Math.max(1, before) + 1e-6) continue;
      const ending = later.find(
        (next) =>
          rho(node, (id) => next.owners.get(id) === node.id || isHeld(id)) <= Math.max(1, before) + 1e-6,
      );
      const isInEffect = slot >= (move.startSlot ?? 0) && slot <= (ending?.startSlot ?? slot);
      if (ending !== undefined && !isInEffect) continue;
      const isOverloaded = file.nodes.some((any) =>
        slotsOf(file).some((t) => {
          const held = file.partitions.filter(({ id }) => start.get(id) === any.id);
          return utilisation(any, held, { ...at, slot: t }) > 1;
        }),
      );
      const giver = rho(nodeOf(move.source), (id) => source.get(id) === move.source);
      const overload = (map: Owners): number =>
        sum(
          slotsOf(file).flatMap((t) =>
            [move.source, move.target].map((id) => {
              const above = utilisation(
                nodeOf(id),
                file.partitions.filter((p) => map.get(p.id) === id),
                { ...at, slot: t },
              );
              return Math.max(0, above - 1) ** 2 * (nodeOf(id).capacity[resource] as number);
            }),
          ),
        );
      if (resource === MEMORY || !isOverloaded || (after >= giver && overload(settled) >= overload(source)))
        found.push(
          `${node.id} is at ${after} in ${resource}, slot ${slot}, was at ${before}, and relieves one at ${giver}`,
        );
    }
  return found;
}

function groupBreaches(file: OracleFile, start: Owners, owners: Owners): string[] {
  const found: string[] = [];
  for (const { partitions, zonesMin = 1 } of file.rules.apart ?? []) {
    const countOn = (map: Owners, node: string): number =>
      partitions.filter((id) => map.get(id) === node).length;
    const zonesIn = (map: Owners): number =>
      new Set(partitions.map((id) => file.nodes.find((node) => node.id === map.get(id))?.zone ?? '')).size;
    for (const { id } of file.nodes)
      if (countOn(owners, id) > Math.max(1, countOn(start, id))) found.push(`${partitions} meet on ${id}`);
    if (zonesIn(owners) < Math.min(zonesMin, zonesIn(start)))
      found.push(`${partitions} are in too few zones`);
  }
  return found;
}

/** Members that were on one node are on one node at the end. */
function togetherBreaches(file: OracleFile, start: Owners, end: Owners): string[] {
  return (file.rules.together ?? []).flatMap(({ partitions }) =>
    partitions.flatMap((first) =>
      partitions
        .filter((second) => start.get(first) === start.get(second) && end.get(first) !== end.get(second))
        .map((second) => `${first} and ${second} are parted`),
    ),
  );
}

const phi = (rho: number): number => (rho <= 0.95 ? rho / (1 - rho) : 19 + 400 * (rho - 0.95));

/**
 * J of a map for a file whose rules hold at the start and whose nodes are all to be kept, so that there are no penalties.
 * Every resource but memory has weight 1.
 */
export function objective(file: OracleFile, owners: Owners, settings: OracleSettings): number {
  const start = startOwners(file);
  const resources = resourcesOf(file).filter((resource) => resource !== MEMORY);
  const slots = slotsOf(file);
  const totalOf = (resource: string): number =>
    sum(slots.map((t) => sum(file.partitions.map(({ load }) => load[resource]?.[t] ?? 0)))) +
    slots.length * sum(file.nodes.map(({ background }) => background?.[resource] ?? 0));
  let cost = 0;
  /** By node: what a copy of one hour would cost its queries. */
  const copyHour = new Map<string, number>();
  for (const node of file.nodes)
    for (const resource of resources)
      for (const slot of slots) {
        const at = (map: Owners, deviations: number): number =>
          utilisation(
            node,
            file.partitions.filter(({ id }) => map.get(id) === node.id),
            {
              resource,
              slot,
              deviations,
              commonError: settings.commonError,
            },
          );
        const share = 1 / resources.length / totalOf(resource);
        const capacity = node.capacity[resource] as number;
        const rho = at(owners, settings.riskZ);
        cost += share * at(owners, 0) * capacity * phi(rho);
        cost +=
          (settings.overloadWeight * Math.max(0, rho - settings.safeUtilisation)) /
          resources.length /
          slots.length;
        const plain = at(start, 0);
        const lost = share * plain * capacity * (phi(plain + settings.copyUtilisation) - phi(plain));
        copyHour.set(node.id, (copyHour.get(node.id) ?? 0) + lost);
      }
  const horizonHours = (slots.length * file.slotSeconds) / 3600;
  // What a fence stops, over the whole horizon: every resource in shares of its own total, as in the cost above.
  const worked = ({ load }: OraclePartition): number =>
    sum(resources.map((resource) => sum(load[resource] ?? []) / totalOf(resource)));
  const workedByAll = sum(file.partitions.map(worked));
  for (const partition of file.partitions) {
    const { id, node: source, sizeBytes, dirtyBytesPerSecond = 0 } = partition;
    const target = owners.get(id) as string;
    if (target === source) continue;
    const seconds = sizeBytes / (file.bandwidthBytesPerSecond - dirtyBytesPerSecond);
    const copying =
      settings.moveIndexHoursPerSecond + ((copyHour.get(source) ?? 0) + (copyHour.get(target) ?? 0)) / 3600;
    const fence = settings.moveBlipIndexHours * (worked(partition) / workedByAll);
    cost += (settings.moveFixedIndexHours + fence + seconds * copying) / horizonHours;
  }
  return cost;
}
