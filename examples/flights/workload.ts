import calculateSlot from 'cluster-key-slot';
import { seededRandom } from '../../src/base/random.ts';
import { partitionOfSlot } from '../../src/model/partition-map.ts';
import { DAY_MS, type FlightLog } from './read-log.ts';

/**
 * What one departure asks of the database: three reads and one counter, all under the tag of its origin, so that the
 * load of a partition is the traffic of its airports. Flights stand in for queries.
 */
export const QUERIES_PER_DEPARTURE = 4;
const GATES_PER_AIRPORT = 8;

export const airportKey = (origin: string): string => `airport:{${origin}}`;
const gateKey = (origin: string, gate: number): string => `gate:{${origin}}:${gate}`;
const routeKey = (origin: string, destination: string): string => `route:{${origin}}:${destination}`;
export const departuresKey = (origin: string, destination: string): string =>
  `departures:{${origin}}:${destination}`;

/** What the workload needs of a client: any Redis client has it. */
export interface RedisCommands {
  get(key: string): Promise<string | null>;
  hmGet(key: string, fields: string[]): Promise<(string | null)[]>;
  incr(key: string): Promise<number>;
}

/** The commands of one departure, sent together (a client pipelines what is sent in one turn). */
export function departureCommands(
  client: RedisCommands,
  { origin, destination, sequence }: { origin: string; destination: string; sequence: number },
): Promise<unknown>[] {
  return [
    client.get(airportKey(origin)),
    client.hmGet(routeKey(origin, destination), ['miles', 'carrier']),
    client.get(gateKey(origin, sequence % GATES_PER_AIRPORT)),
    client.incr(departuresKey(origin, destination)),
  ];
}

/** A key and what it must hold. */
export type SeedEntry =
  | { readonly kind: 'string'; readonly key: string; readonly value: string }
  | { readonly kind: 'hash'; readonly key: string; readonly fields: Readonly<Record<string, string>> };

/** Everything that is stored before the first live departure. Counters start at 0, so that every key exists from the start. */
export function seedEntries(log: FlightLog, seed: bigint): SeedEntry[] {
  const random = seededRandom(seed).fork('seed-entries');
  const text = (length: number): string =>
    Array.from({ length }, () => String.fromCharCode(97 + random.nextBelow(26))).join('');
  const entries: SeedEntry[] = [];
  for (const origin of log.airports) {
    entries.push({ kind: 'string', key: airportKey(origin), value: text(1500) });
    for (let gate = 0; gate < GATES_PER_AIRPORT; gate++)
      entries.push({ kind: 'string', key: gateKey(origin, gate), value: text(120) });
  }
  for (const [origin, destination] of routesOf(log)) {
    const fields = { miles: String(50 + random.nextBelow(4900)), carrier: text(2), aircraft: text(300) };
    entries.push({ kind: 'hash', key: routeKey(origin, destination), fields });
    entries.push({ kind: 'string', key: departuresKey(origin, destination), value: '0' });
  }
  return entries;
}

function routesOf(log: FlightLog): [string, string][] {
  const airportCount = log.airports.length;
  const routes = new Set<number>();
  for (let i = 0; i < log.originOf.length; i++)
    routes.add(log.originOf[i] * airportCount + log.destinationOf[i]);
  return [...routes]
    .sort((a, b) => a - b)
    .map((route) => [log.airports[Math.floor(route / airportCount)], log.airports[route % airportCount]]);
}

/** u16[airport]: the partition of everything under the airport's tag. */
export function partitionOfAirport(log: FlightLog, partitionCount: number): Uint16Array {
  return Uint16Array.from(log.airports, (code) =>
    partitionOfSlot(calculateSlot(airportKey(code)), partitionCount),
  );
}

/**
 * Departures as load: queries per hour and partition.
 *
 * @returns f64[hour][partition], hours from log.startMs.
 */
export function hourlyQueries(log: FlightLog, partitionCount: number): Float64Array {
  const hourCount = Math.ceil((log.endMs - log.startMs) / (DAY_MS / 24));
  const partitionOf = partitionOfAirport(log, partitionCount);
  const queries = new Float64Array(hourCount * partitionCount);
  for (let i = 0; i < log.minuteOf.length; i++) {
    const hour = Math.floor(log.minuteOf[i] / 60);
    queries[hour * partitionCount + partitionOf[log.originOf[i]]] += QUERIES_PER_DEPARTURE;
  }
  return queries;
}

/**
 * Queries per hour that a node can carry, so that a perfectly balanced cluster peaks at `peakUtilisation`.
 *
 * @param queries f64[hour][partition]
 */
export function nodeCapacity(
  queries: Float64Array,
  {
    partitionCount,
    nodeCount,
    peakUtilisation,
  }: { partitionCount: number; nodeCount: number; peakUtilisation: number },
): number {
  let peak = 0;
  for (let hour = 0; hour < queries.length / partitionCount; hour++) {
    let sum = 0;
    for (let p = 0; p < partitionCount; p++) sum += queries[hour * partitionCount + p];
    peak = Math.max(peak, sum);
  }
  return peak / nodeCount / peakUtilisation;
}

/** f64[partition]: bytes of keys and values, what a move at least has to carry. */
export function storedBytes(entries: readonly SeedEntry[], partitionCount: number): Float64Array {
  const bytes = new Float64Array(partitionCount);
  for (const entry of entries) {
    const values = entry.kind === 'string' ? [entry.value] : Object.entries(entry.fields).flat();
    const size = values.reduce((sum, value) => sum + value.length, entry.key.length);
    bytes[partitionOfSlot(calculateSlot(entry.key), partitionCount)] += size;
  }
  return bytes;
}
