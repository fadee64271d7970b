import { join } from 'node:path';
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { Coordinator, type MoveExecutor } from '../../../plugin/host/coordinator.ts';
import { clusterKeys } from '../../../plugin/metadata/cluster-keys.ts';
import { openMetadata } from '../../../plugin/metadata/open.ts';
import { systemClock } from '../../../src/base/clock.ts';
import { silentLogger } from '../../../src/base/logger.ts';
import { DEFAULT_SETTINGS } from '../../../src/settings.ts';
import { withTemporaryFolder } from '../../support/temporary-folder.ts';

const test = suite('coordinator');

test('a bug in the executor is told, and never ends the process unheard', () =>
  withTemporaryFolder(async (folder) => {
    const metadata = openMetadata({ ...DEFAULT_SETTINGS.metadata, path: join(folder, 'metadata') });
    const bug = new RangeError('a bug');
    const executor: MoveExecutor = {
      admit: async () => ({ queued: [], refused: [] }),
      tick: () => Promise.reject(bug),
      settled: async () => undefined,
      status: () => {
        throw new Error('nobody asks after a fault');
      },
    };
    let coordinator: Coordinator | undefined;
    const fault = await new Promise((resolve) => {
      coordinator = new Coordinator(DEFAULT_SETTINGS.controller, 'a', {
        ...{ clock: systemClock(), logger: silentLogger, metadata, keys: clusterKeys('x') },
        onTerm: () => undefined,
        makeExecutor: (leadership) => ({
          ...executor,
          // Once elected.
          status: () => (leadership() === null ? IDLE : executor.status()),
        }),
        onFault: resolve,
      });
    });
    check.is(fault, bug);
    await coordinator?.close();
    await metadata.close();
  }));

const IDLE: ReturnType<MoveExecutor['status']> = {
  open: [],
  queuedMoveCount: 0,
  scheduledMoveCount: 0,
  doneCount: 0,
  abortedCount: 0,
  copiedBytes: 0,
  abortReasons: [],
  quarantinedPartitionIds: [],
};

test.run();
