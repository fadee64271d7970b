import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ForeshardError } from '../../../src/base/errors.ts';

const LOCK_FILE = 'owner.lock';

interface LockHolder {
  readonly pid: number;
  /** When the process began, in clock ticks since boot: a process id alone comes around again, in a container at once. */
  readonly startTicks: string | null;
}

/**
 * Keeps a second process off a store. LMDB itself lets many write in turn, but this engine keeps roles and counters in
 * memory and must be the only writer. The lock of a process that was killed is found to be stale and taken over.
 */
export class StoreLock {
  readonly #path: string;

  private constructor(path: string) {
    this.#path = path;
  }

  /** @throws ForeshardError FORESHARD_CONFIG when a living process holds the folder. */
  static acquire(folder: string): StoreLock {
    const path = join(folder, LOCK_FILE);
    const holder = JSON.stringify({
      pid: process.pid,
      startTicks: startTicksOf(process.pid),
    } satisfies LockHolder);
    for (let attempt = 0; ; attempt++) {
      try {
        writeFileSync(path, holder, { flag: 'wx', mode: 0o600 });
        return new StoreLock(path);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      }
      const other = readHolder(path);
      if (attempt > 0 || (other && isAlive(other)))
        throw new ForeshardError(
          'FORESHARD_CONFIG',
          'fix-config',
          `the store in ${folder} is in use by process ${other?.pid ?? 'unknown'}: every node needs a folder of its own`,
        );
      rmSync(path, { force: true });
    }
  }

  release(): void {
    rmSync(this.#path, { force: true });
  }
}

function readHolder(path: string): LockHolder | null {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as LockHolder;
  } catch {
    return null; // released meanwhile, or cut short by a crash
  }
}

function isAlive({ pid, startTicks }: LockHolder): boolean {
  const now = startTicksOf(pid);
  if (now !== null && startTicks !== null) return now === startTicks;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** Field 22 of /proc/<pid>/stat; null where there is no such process, or no such file system. */
function startTicksOf(pid: number): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The second field is the command in parentheses, and may hold spaces.
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? null;
  } catch {
    return null;
  }
}
