/** Mistakes of real systems, planted one at a time: the simulator has to find each of them. */
import type { MigrationTransport } from '../../plugin/engines/migration-agent/migration-transport.ts';
import type { ReadWatch } from '../../src/migration/reads/read-watch.ts';
import type { RecordCodec } from '../../src/migration/records/records.ts';
import type { PartitionRecord } from '../../src/model/migration.ts';
import type { MetadataStore } from '../../src/ports/metadata-store.ts';
import type { PartitionStore } from '../../src/ports/partition-store.ts';
import type { StorageEngine } from '../../src/ports/storage-engine.ts';
import type { MemoryDisk } from '../support/memory-partition-store.ts';
import type { SimStore } from './disk.ts';
import type { Life } from './life.ts';
import { COORDINATOR_MUTANTS } from './mutants-of-coordinators.ts';
import { COPY_MUTANTS } from './mutants-of-copies.ts';
import { LOSS_MUTANTS } from './mutants-of-losses.ts';
import { NODE_MUTANTS } from './mutants-of-nodes.ts';
import { PACE_MUTANTS } from './mutants-of-pace.ts';
import type { ControlHandler } from './network.ts';
import type { Scenario } from './scenario.ts';
import type { ViolationKind } from './violation-kinds.ts';

/** One planted mistake: what it replaces at one seam. All else is the real code. */
export interface Mutant {
  readonly name: string;
  /** The checks that are there for it: any other that stops a schedule first has not found it. */
  readonly shownBy: readonly ViolationKind[];
  /** Where the guard that is missing is needed: the worlds in which the bug is searched for, if not all. */
  readonly world?: (scenario: Scenario) => Scenario;
  /** The partition store as the agent sees it. */
  readonly store?: (store: SimStore, life: Life) => PartitionStore;
  /** A record of the map as the agent reads it. */
  readonly record?: (record: PartitionRecord) => PartitionRecord;
  /** Control requests before they reach the agent. */
  readonly handle?: (handle: ControlHandler, store: SimStore) => ControlHandler;
  /** Storage nodes as the executor sees them. */
  readonly engine?: (engine: StorageEngine) => StorageEngine;
  /** What the guard of reads at a target tells the executor. */
  readonly guard?: (watch: ReadWatch) => ReadWatch;
  /** The metadata store as the executor sees it. */
  readonly metadata?: (metadata: MetadataStore, seam: CoordinatorSeam) => MetadataStore;
  /** What the data path leaves out. */
  readonly data?: {
    readonly checksOwnerAtReceipt?: boolean;
    readonly ignoresEpoch?: boolean;
    readonly ignoresMinLsn?: boolean;
    readonly servesCopiesUnasked?: boolean;
    readonly readsAnyRole?: boolean;
  };
  /** What a query node does for its clients: leaves writes out of a session's token, sends a write without an answer again. */
  readonly session?: { readonly forgetsWrites?: boolean; readonly resendsUnanswered?: boolean };
  /** How the disk keeps its word. */
  readonly disk?: { readonly syncsAfterMs?: number; readonly goesOnAfterError?: boolean };
  /** What a crash does to the disk. */
  readonly onCrash?: (disk: MemoryDisk) => void;
}

export interface CoordinatorSeam {
  readonly transport: MigrationTransport;
  readonly codec: RecordCodec;
}

export const NO_MUTANT: Mutant = { name: 'none', shownBy: [] };

/** @throws RangeError naming those that there are. */
export function mutantNamed(name: string): Mutant {
  if (name === NO_MUTANT.name) return NO_MUTANT;
  const mutant = MUTANTS.find((each) => each.name === name);
  if (mutant) return mutant;
  throw new RangeError(`no mutant ${name}: there are ${MUTANTS.map((each) => each.name).join(', ')}`);
}

export const MUTANTS: readonly Mutant[] = [
  ...NODE_MUTANTS,
  ...COPY_MUTANTS,
  ...COORDINATOR_MUTANTS,
  ...LOSS_MUTANTS,
  ...PACE_MUTANTS,
];
