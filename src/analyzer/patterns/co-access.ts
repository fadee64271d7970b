import {
  ASSOCIATION_DEFAULTS,
  type Association,
  type AssociationLimits,
  type Cell,
  type CountCell,
  findOwnAssociations,
} from './associations.ts';
import { ownCopy } from './own-copy.ts';
import { SparseCounts } from './sparse-counts.ts';

export interface CoAccessSettings {
  readonly partitionCount: number;
  /** Queries of one client belong together for so long. */
  readonly windowMs: number;
  /** Clients whose last queries are remembered; those that were silent longest are forgotten first. */
  readonly clientsMax: number;
  /** Pairs of partitions for each of the three relations. */
  readonly pairsMax: number;
}

export const CO_ACCESS_DEFAULTS: Omit<CoAccessSettings, 'partitionCount'> = {
  // A page that is put together asks its queries within some 100 ms; a person's next click comes after seconds.
  windowMs: 1_000,
  clientsMax: 4_096,
  // 3 MB for each relation.
  pairsMax: 32_768,
};

/** A query over more partitions is told by the first of them: 16 make 120 pairs. */
const PARTITIONS_MAX = 16;
/** Partitions of one client that a query is paired with. */
const TRACE_MAX = 8;
/** From this share of the accesses of both its partitions on, a pair is judged by accesses: see `expectationOf`. Arbitrary. */
const BOUND_SHARE = 0.4;
/** The fit of the expectation converges by a factor of the largest partition's share each turn. */
const FIT_TURNS = 50;

export interface CoAccessReport {
  /** Partitions of one multi-key query. Rows below columns. */
  readonly together: readonly Association[];
  /** Different queries of one client within the window. Rows below columns. */
  readonly sameClient: readonly Association[];
  /** A client's query at `row`, and its very next one, within the window, at `column`. */
  readonly next: readonly Association[];
  /** Multi-key queries of which not all pairs were counted. */
  readonly cutCount: number;
}

/** The last partitions of one client, the newest last, and when. */
interface Trace {
  readonly client: string | number;
  readonly partitions: number[];
  readonly timesMs: number[];
}

/**
 * Which partitions are used together: candidates for one storage node. Sparse weighted counts of pairs; told are those more
 * frequent than the partitions' own frequencies make likely.
 */
export class CoAccess {
  readonly #settings: CoAccessSettings;
  readonly #together: SparseCounts;
  readonly #sameClient: SparseCounts;
  readonly #next: SparseCounts;
  /** f64[partition]: how often each was asked for at all, weighted. */
  readonly #accesses: Float64Array;
  readonly #traces = new Map<string | number, Trace>();
  #cutCount = 0;

  constructor(settings: CoAccessSettings) {
    this.#settings = settings;
    this.#accesses = new Float64Array(settings.partitionCount);
    const options = { columnsMax: settings.partitionCount, entriesMax: settings.pairsMax };
    this.#together = new SparseCounts(options);
    this.#sameClient = new SparseCounts(options);
    this.#next = new SparseCounts(options);
  }

  get pairCount(): number {
    return this.#together.size + this.#sameClient.size + this.#next.size;
  }

  /**
   * Takes in one query, in the order of time as far as there is one.
   *
   * @param query.partitions those of its keys, without repetitions; @param query.weight see `ForwardDecay`.
   */
  add(query: {
    readonly timeMs: number;
    readonly client: string | number;
    readonly partitions: readonly number[];
    readonly weight: number;
  }): void {
    const { timeMs, client, weight } = query;
    if (query.partitions.length > PARTITIONS_MAX) this.#cutCount++;
    const partitions = query.partitions.slice(0, PARTITIONS_MAX);
    for (let i = 1; i < partitions.length; i++)
      for (let j = 0; j < i; j++)
        addPair(this.#together, partitions[i] as number, partitions[j] as number, weight);
    for (const partition of partitions)
      this.#accesses[partition] = (this.#accesses[partition] as number) + weight;
    const first = partitions[0];
    if (first === undefined) return;
    const trace = this.#traceOf(client);
    this.#dropOld(trace, timeMs);
    const last = trace.partitions.at(-1);
    // Staying where one is tells nothing of pairs, and is left out of the expectation, too.
    if (last !== undefined && last !== first) this.#next.add(last, first, weight);
    for (const partition of partitions) {
      // One that is still in the trace has been paired with all of it.
      if (trace.partitions.includes(partition)) continue;
      for (const other of trace.partitions)
        if (!partitions.includes(other)) addPair(this.#sameClient, partition, other, weight);
    }
    for (const partition of partitions) remember(trace, partition, timeMs);
  }

  rescale(factor: number): void {
    for (const counts of [this.#together, this.#sameClient, this.#next]) counts.rescale(factor);
    this.#accesses.forEach((count, partition) => {
      this.#accesses[partition] = count * factor;
    });
  }

  /** @param scale of `ForwardDecay`: told counts are as of the newest time. */
  report(scale: number, limits: AssociationLimits = ASSOCIATION_DEFAULTS): CoAccessReport {
    const told = (found: Association[]): Association[] =>
      found.map((pair) => ({ ...pair, count: pair.count * scale, expected: pair.expected * scale }));
    const accesses = this.#accesses;
    return {
      together: told(findPairs(this.#together, { accesses, isOrdered: false, limits })),
      sameClient: told(findPairs(this.#sameClient, { accesses, isOrdered: false, limits })),
      next: told(findPairs(this.#next, { accesses, isOrdered: true, limits })),
      cutCount: this.#cutCount,
    };
  }

  #traceOf(client: string | number): Trace {
    const known = this.#traces.get(client);
    if (known !== undefined) {
      this.#traces.delete(client);
      this.#traces.set(known.client, known);
      return known;
    }
    const own = typeof client === 'string' ? ownCopy(client) : client;
    const trace: Trace = { client: own, partitions: [], timesMs: [] };
    this.#traces.set(own, trace);
    if (this.#traces.size > this.#settings.clientsMax)
      this.#traces.delete(this.#traces.keys().next().value as string | number);
    return trace;
  }

  #dropOld({ partitions, timesMs }: Trace, timeMs: number): void {
    let oldCount = 0;
    while (oldCount < timesMs.length && timeMs - (timesMs[oldCount] as number) > this.#settings.windowMs)
      oldCount++;
    partitions.splice(0, oldCount);
    timesMs.splice(0, oldCount);
  }
}

function addPair(counts: SparseCounts, a: number, b: number, weight: number): void {
  counts.add(Math.min(a, b), Math.max(a, b), weight);
}

function remember({ partitions, timesMs }: Trace, partition: number, timeMs: number): void {
  const known = partitions.indexOf(partition);
  if (known >= 0) {
    partitions.splice(known, 1);
    timesMs.splice(known, 1);
  }
  partitions.push(partition);
  timesMs.push(timeMs);
  if (partitions.length > TRACE_MAX) {
    partitions.shift();
    timesMs.shift();
  }
}

interface PairQuestion {
  /** f64[partition], in the units of the counts. */
  readonly accesses: Float64Array;
  readonly isOrdered: boolean;
  readonly limits: AssociationLimits;
}

function findPairs(counts: SparseCounts, { accesses, isOrdered, limits }: PairQuestion): Association[] {
  const { sum, effectiveFactor } = counts;
  if (!(sum > 0)) return [];
  const partitionCount = new Set([...counts.rowSums.keys(), ...counts.columnSums.keys()]).size;
  const orderedCount = partitionCount * (partitionCount - 1);
  const testCount = isOrdered ? orderedCount : orderedCount / 2;
  const cells: CountCell[] = [];
  counts.forEach((row, column, count) => {
    cells.push({ row, column, count });
  });
  const seenWithout = (aside: readonly Association[]): ((cell: CountCell) => Cell) => {
    const expectedOf = expectationOf(counts, { accesses, isOrdered, aside });
    return (cell) => ({ ...cell, expectedShare: Math.min(1, expectedOf(cell) / sum) });
  };
  return findOwnAssociations(cells, seenWithout, { sum, effectiveFactor, testCount }, limits);
}

/**
 * How often a pair would occur if partitions did not care about each other.
 *
 * By how often each of them is in pairs at all: so that it matters nothing if some partitions are in many pairs and others in few.
 * But where nearly all pairs are one pair, they would explain themselves, and what is always asked for together would not be told.
 * So a pair that makes up much of the accesses of both its partitions is judged by how often both are accessed at all.
 */
function expectationOf(
  counts: SparseCounts,
  options: {
    readonly accesses: Float64Array;
    readonly isOrdered: boolean;
    readonly aside: readonly Association[];
  },
): (cell: CountCell) => number {
  const { accesses, isOrdered, aside } = options;
  // An unordered pair is one of each order, so that both its partitions have it in their sums.
  const holes = isOrdered
    ? aside
    : aside.flatMap((pair) => [pair, { ...pair, row: pair.column, column: pair.row }]);
  const [rows, columns] = isOrdered ? [counts.rowSums, counts.columnSums] : degreesOf(counts);
  const byPairs = fitOffDiagonal(rows, columns, holes);
  const total = accesses.reduce((sum, count) => sum + count, 0);
  const unlike = 1 - accesses.reduce((sum, count) => sum + (count / total) ** 2, 0);
  const orders = isOrdered ? 1 : 2;
  return ({ row, column, count }) => {
    const [a, b] = [accesses[row] as number, accesses[column] as number];
    const expected = byPairs(row, column);
    if (count < BOUND_SHARE * Math.max(a, b) || unlike <= 0) return expected;
    return Math.min(expected, (orders * counts.sum * (a / total) * (b / total)) / unlike);
  };
}

function degreesOf(counts: SparseCounts): [Map<number, number>, Map<number, number>] {
  const degrees = new Map(counts.rowSums);
  for (const [partition, count] of counts.columnSums)
    degrees.set(partition, (degrees.get(partition) ?? 0) + count);
  return [degrees, degrees];
}

/** A cell that the expectation is not to rest on, with what it holds. */
interface Hole {
  readonly row: number;
  readonly column: number;
  readonly count: number;
}

/**
 * What a table without a diagonal would hold if rows and columns were independent: row factor x column factor, by iterative
 * proportional fitting. A pair of a partition with itself cannot occur, so plain independence would expect too little of all others.
 *
 * @param holes cells besides the diagonal that are left out of the fit.
 * @returns the expected count of (row, column), also of holes; of an unordered pair, when both sums are its degrees.
 * @see Goodman, "The analysis of cross-classified data: independence, quasi-independence, and interactions", JASA 63, 1968
 */
export function fitOffDiagonal(
  rowSums: ReadonlyMap<number, number>,
  columnSums: ReadonlyMap<number, number>,
  holes: readonly Hole[] = [],
): (row: number, column: number) => number {
  const rowTargets = new Map(rowSums);
  const columnTargets = new Map(columnSums);
  const holesOfRow = new Map<number, number[]>();
  const holesOfColumn = new Map<number, number[]>();
  for (const { row, column, count } of holes) {
    rowTargets.set(row, Math.max(0, (rowTargets.get(row) ?? 0) - count));
    columnTargets.set(column, Math.max(0, (columnTargets.get(column) ?? 0) - count));
    holesOfRow.set(row, [...(holesOfRow.get(row) ?? []), column]);
    holesOfColumn.set(column, [...(holesOfColumn.get(column) ?? []), row]);
  }
  const rows = new Map(rowTargets);
  const columns = new Map(columnTargets);
  for (let turn = 0; turn < FIT_TURNS; turn++) {
    fitSide(rows, { other: columns, targets: rowTargets, holesOf: holesOfRow });
    fitSide(columns, { other: rows, targets: columnTargets, holesOf: holesOfColumn });
  }
  return (row, column) => (rows.get(row) ?? 0) * (columns.get(column) ?? 0);
}

function fitSide(
  side: Map<number, number>,
  against: {
    readonly other: ReadonlyMap<number, number>;
    readonly targets: ReadonlyMap<number, number>;
    readonly holesOf: ReadonlyMap<number, readonly number[]>;
  },
): void {
  const { other, targets, holesOf } = against;
  let total = 0;
  for (const factor of other.values()) total += factor;
  for (const [key, target] of targets) {
    let rest = total - (other.get(key) ?? 0);
    for (const hole of holesOf.get(key) ?? []) rest -= other.get(hole) ?? 0;
    // A partition that is in every pair leaves nothing to the others: the floor keeps the fit finite.
    side.set(key, total > 0 ? target / Math.max(rest, total * 1e-9) : 0);
  }
}
