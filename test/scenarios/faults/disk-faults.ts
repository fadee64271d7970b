/** Disks that fail, fill up or are slow, under the storage nodes of a running migration. A failed commit is fail-stop: it takes a restart. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { MigrationPhase } from '../../../src/model/migration.ts';
import { sleep } from '../../support/scenario.ts';
import { FaultCluster, STORAGE_NODES } from './fault-cluster.ts';
import type { RowContext, RowPlan } from './play-row.ts';
import { HOLD_PHASE, partitionOf } from './process-faults.ts';
import type { FaultScore } from './score.ts';

/** Far more than the test data, so that only a ballast fills it. */
const SMALL_DISK_BYTES = 64 << 20;
/** How long a disk stays bad: some writes and pieces must meet it. */
const BAD_MS = 700;
/** One sync; the event loop waits for it. */
const SLOW_SYNC_MS = 1_500;
/** Any growth of the file, and most of its pages, lie behind this. */
const FILE_BYTES_MAX = 64 << 10;

type Side = 'source' | 'target';

export interface DiskCluster {
  readonly cluster: FaultCluster;
  readonly folder: string;
  /** LD_PRELOAD works here. */
  readonly hasShim: boolean;
  /** Every node's folder is a small file system of its own. */
  readonly hasSmallDisks: boolean;
  stop(): Promise<void>;
}

export async function startOnBadDisks(score: FaultScore): Promise<DiskCluster> {
  const folder = mkdtempSync(join(tmpdir(), 'foreshard-faults-'));
  const shim = compileShim(folder);
  const mounted = mountSmallDisks(folder);
  const release = (): void => {
    for (const path of mounted) spawnSync('umount', [path]);
    rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
  };
  const hasSmallDisks = mounted.length === STORAGE_NODES.length;
  try {
    if (shim === null) score.skip('EIO and slow fdatasync', 'gcc', 'gcc cannot make the LD_PRELOAD shim');
    if (!hasSmallDisks) score.skip('ENOSPC', 'tmpfs', 'tmpfs cannot be mounted');
    const cluster = await FaultCluster.start({
      folder,
      holdPhase: HOLD_PHASE,
      environment: shim === null ? {} : { LD_PRELOAD: shim },
      node: { freeBytesReserve: 0 },
    });
    const stop = async (): Promise<void> => {
      await cluster.stop();
      release();
    };
    return { cluster, folder, hasShim: shim !== null, hasSmallDisks, stop };
  } catch (error) {
    release();
    throw error;
  }
}

function compileShim(folder: string): string | null {
  const source = fileURLToPath(new URL('../../support/disk-shim.c', sourceTree()));
  const shim = join(folder, 'disk-shim.so');
  const { status } = spawnSync('gcc', ['-shared', '-fPIC', '-O2', '-o', shim, source, '-ldl']);
  return status === 0 ? shim : null;
}

/** This folder in the sources: C files are not copied to `dist`. */
const sourceTree = (): string => import.meta.url.replace('/dist/test/', '/test/');

function mountSmallDisks(folder: string): string[] {
  const mounted: string[] = [];
  for (const nodeId of STORAGE_NODES) {
    const path = join(folder, `node-${nodeId}`);
    mkdirSync(path, { recursive: true });
    const options = ['-t', 'tmpfs', '-o', `size=${SMALL_DISK_BYTES}`, 'tmpfs', path];
    if (spawnSync('mount', options).status === 0) mounted.push(path);
  }
  return mounted;
}

interface DiskFault {
  readonly name: string;
  readonly side: Side;
  readonly phases: readonly MigrationPhase[];
  readonly needs: 'shim' | 'small disk' | 'nothing';
  /** Whether the store is fail-stop afterwards. */
  readonly isFatal: boolean;
  readonly begin: (disk: BadDisk) => void;
}

/** What is done to one node's disk. */
class BadDisk {
  readonly #path: string;
  readonly #pid: number;

  constructor(path: string, pid: number) {
    this.#path = path;
    this.#pid = pid;
  }

  order(text: string): void {
    writeFileSync(`${this.#path}.disk`, text);
  }

  fill(): void {
    const { bavail, bsize } = statfsSync(this.#path);
    try {
      writeFileSync(join(this.#path, 'ballast'), Buffer.alloc(bavail * bsize));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error; // the store took the last page: full it is
    }
  }

  limitFiles(): void {
    const { status, stderr } = spawnSync('prlimit', [
      `--pid=${this.#pid}`,
      `--fsize=${FILE_BYTES_MAX}:${FILE_BYTES_MAX}`,
    ]);
    if (status !== 0) throw new Error(`prlimit: ${stderr}`);
  }

  /** A limit on files goes with its process. */
  heal(): void {
    rmSync(`${this.#path}.disk`, { force: true });
    rmSync(join(this.#path, 'ballast'), { force: true });
  }
}

/** A full disk first: later the files have free pages inside, and need not grow. */
const FAULTS: readonly DiskFault[] = [
  {
    name: 'ENOSPC',
    side: 'target',
    phases: ['COPY', 'GRACE'],
    needs: 'small disk',
    isFatal: true,
    begin: (disk) => disk.fill(),
  },
  {
    name: 'ENOSPC',
    side: 'source',
    phases: ['SHIFT'],
    needs: 'small disk',
    isFatal: true,
    begin: (disk) => disk.fill(),
  },
  {
    name: 'slow fdatasync',
    side: 'target',
    phases: ['COPY', 'FENCED', 'SWITCHED'],
    needs: 'shim',
    isFatal: false,
    begin: (disk) => disk.order(`slow ${SLOW_SYNC_MS}`),
  },
  {
    name: 'slow fdatasync',
    side: 'source',
    phases: ['SHIFT', 'FENCING'],
    needs: 'shim',
    isFatal: false,
    begin: (disk) => disk.order(`slow ${SLOW_SYNC_MS}`),
  },
  {
    name: 'EIO on fdatasync',
    side: 'target',
    phases: ['COPY', 'FENCED', 'SWITCHED'],
    needs: 'shim',
    isFatal: true,
    begin: (disk) => disk.order('eio'),
  },
  {
    name: 'EIO on fdatasync',
    side: 'source',
    phases: ['SHIFT', 'FENCING'],
    needs: 'shim',
    isFatal: true,
    begin: (disk) => disk.order('eio'),
  },
  {
    name: 'EFBIG',
    side: 'target',
    phases: ['COPY', 'CATCHUP'],
    needs: 'nothing',
    isFatal: true,
    begin: (disk) => disk.limitFiles(),
  },
];

export function diskRows({ folder, hasShim, hasSmallDisks }: DiskCluster): RowPlan[] {
  const isPossible = ({ needs }: DiskFault): boolean =>
    needs === 'nothing' || (needs === 'shim' ? hasShim : hasSmallDisks);
  return FAULTS.filter(isPossible).flatMap((fault) =>
    fault.phases.map((phase) => ({
      stage: 'disk',
      phase,
      fault: fault.name,
      victim: fault.side,
      partitionId: partitionOf(phase),
      inject: (context: RowContext) => spoil(fault, context, folder),
    })),
  );
}

async function spoil(fault: DiskFault, context: RowContext, folder: string): Promise<void> {
  const { cluster, onStruck, sourceNodeId, targetNodeId } = context;
  const nodeId = fault.side === 'source' ? sourceNodeId : targetNodeId;
  const disk = new BadDisk(join(folder, `node-${nodeId}`), cluster.cluster.pid(nodeId));
  fault.begin(disk);
  try {
    await onStruck();
    await sleep(BAD_MS);
  } finally {
    disk.heal();
  }
  if (fault.isFatal) await cluster.killAndRestart(nodeId, { forMs: 0 });
}
