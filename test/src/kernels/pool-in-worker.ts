// A worker thread that has a kernel pool of its own: what an embedding application may do.
import { silentLogger } from '../../../src/base/logger.ts';
import { loadKernels } from '../../../src/kernels/instance.ts';
import { KernelPool } from '../../../src/kernels/pool.ts';

export default async function countInOwnPool(parameters: { steps: number }): Promise<unknown> {
  const pool = new KernelPool({ threads: 1 }, { kernels: loadKernels(), logger: silentLogger });
  try {
    return await pool.run('count', parameters);
  } finally {
    await pool.close();
  }
}
