/** A search thread: runs the legs it is sent on the shared memory. */
import { parentPort, workerData } from 'node:worker_threads';
import { instantiateRoadef } from './kernel.ts';
import { type Leg, runLeg } from './leg.ts';

export interface WorkerSetup {
  readonly module: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
}

const { module, memory } = workerData as WorkerSetup;
const kernel = instantiateRoadef(module, memory);

parentPort?.on('message', (leg: Leg) => {
  parentPort?.postMessage(runLeg(kernel, leg));
});
