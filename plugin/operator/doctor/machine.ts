/** Whether the machine has what a node needs: of facts that are handed in, so that each verdict can be tested. */
import { type Finding, fail, ok, warn } from './findings.ts';

export interface MachineFacts {
  /** Such as `v20.11.0`. */
  readonly nodeVersion: string;
  readonly hasWasmSimd: boolean;
  readonly cpuCount: number;
  /** Of the machine, or of the control group where that is less. */
  readonly memoryBytes: number;
  /** Soft limit; null where the machine does not say. */
  readonly openFilesMax: number | null;
  readonly nowMs: number;
  /** Whether something keeps the clock right; null where the machine does not say. */
  readonly isClockSynchronised: boolean | null;
}

export interface MachineNeeds {
  readonly kernelThreads: number;
  /** Shared by the kernels. */
  readonly kernelMemoryBytes: number;
  readonly clientConnectionsMax: number;
}

const NODE_MAJOR_MIN = 20;
/** Beside clients: stores, logs, other nodes. */
const OTHER_FILES = 256;
/** A process beside its kernels: heap, buffers, pages of the store. */
const OTHER_BYTES = 256 * 1024 * 1024;
/** This version was written after: a clock that says less is wrong. */
const NOW_MS_MIN = Date.UTC(2026, 0, 1);

const gibibytes = (bytes: number): string => `${(bytes / 1024 ** 3).toFixed(1)} GiB`;

export function judgeMachine(facts: MachineFacts, needs: MachineNeeds): Finding[] {
  return [
    judgeRuntime(facts),
    judgeProcessors(facts, needs),
    judgeMemory(facts, needs),
    judgeFiles(facts, needs),
    judgeClock(facts),
  ];
}

function judgeRuntime({ nodeVersion, hasWasmSimd }: MachineFacts): Finding {
  const major = Number(/^v(\d+)\./.exec(nodeVersion)?.[1]);
  if (!(major >= NODE_MAJOR_MIN))
    return fail('Node.js', nodeVersion, `install Node.js ${NODE_MAJOR_MIN} or later`);
  return hasWasmSimd
    ? ok('Node.js', `${nodeVersion}, with WebAssembly SIMD`)
    : fail(
        'Node.js',
        `${nodeVersion}, without WebAssembly SIMD`,
        'a processor with SSE4.1 or NEON is needed',
      );
}

function judgeProcessors({ cpuCount }: MachineFacts, { kernelThreads }: MachineNeeds): Finding {
  const found = `${cpuCount}, ${kernelThreads} for kernels`;
  return cpuCount > kernelThreads
    ? ok('processors', found)
    : warn(
        'processors',
        found,
        'queries wait while forecasts are made: lower analyzer.kernelThreads, or give the node another processor',
      );
}

function judgeMemory({ memoryBytes }: MachineFacts, { kernelMemoryBytes }: MachineNeeds): Finding {
  const needed = kernelMemoryBytes + OTHER_BYTES;
  const found = `${gibibytes(memoryBytes)}, a query node may take ${gibibytes(needed)}`;
  return memoryBytes >= needed
    ? ok('memory', found)
    : fail('memory', found, 'give the node more, or lower cluster.partitionCount or forecast.historyWindows');
}

function judgeFiles({ openFilesMax }: MachineFacts, { clientConnectionsMax }: MachineNeeds): Finding {
  const needed = clientConnectionsMax + OTHER_FILES;
  if (openFilesMax === null) return ok('open files', 'this system does not say');
  const found = `at most ${openFilesMax}, ${clientConnectionsMax} clients may connect`;
  return openFilesMax >= needed
    ? ok('open files', found)
    : fail(
        'open files',
        found,
        `raise the limit to ${needed} (LimitNOFILE of a systemd unit, ulimit -n), or lower node.clientConnectionsMax`,
      );
}

function judgeClock({ nowMs, isClockSynchronised }: MachineFacts): Finding {
  const now = new Date(nowMs).toISOString();
  if (nowMs < NOW_MS_MIN) return fail('clock', now, 'set the clock: load is recorded by it');
  if (isClockSynchronised === false)
    return warn(
      'clock',
      `${now}, kept right by nothing`,
      'run chrony or systemd-timesyncd: windows of load are told by it, safety is not',
    );
  return ok('clock', isClockSynchronised === null ? `${now}; whether it is kept right is not known` : now);
}
