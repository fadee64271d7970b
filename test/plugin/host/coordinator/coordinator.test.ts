import { join } from 'node:path';
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { Coordinator, type MoveExecutor } from '../../../../plugin/host/coordinator/coordinator.ts';
import { openMetadata } from '../../../../plugin/metadata/open.ts';
import { recordCodec } from '../../../../plugin/metadata/record-codec.ts';
import { readAudit } from '../../../../plugin/operator/migration/audit-command.ts';
import { systemClock } from '../../../../src/base/clock.ts';
import { silentLogger } from '../../../../src/base/logger.ts';
import type { PluginMode } from '../../../../src/controller.ts';
import { DEFAULT_SETTINGS } from '../../../../src/settings.ts';
import { withTemporaryFolder } from '../../../support/temporary-folder.ts';

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
        ...{ clock: systemClock(), logger: silentLogger, metadata, codec: recordCodec('x'), mode: 'observe' },
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

test('a coordinator that may do more or less than the last one by its config stands in the audit, and only then', () =>
  withTemporaryFolder(async (folder) => {
    const metadata = openMetadata({ ...DEFAULT_SETTINGS.metadata, path: join(folder, 'metadata') });
    const lead = async (mode: PluginMode): Promise<void> => {
      let coordinator: Coordinator | undefined;
      await new Promise<void>((resolve) => {
        coordinator = new Coordinator(DEFAULT_SETTINGS.controller, 'a', {
          ...{ clock: systemClock(), logger: silentLogger, metadata, codec: recordCodec('x'), mode },
          onTerm: (fence) => fence !== null && resolve(),
          makeExecutor: () => ({
            admit: async () => ({ queued: [], refused: [] }),
            ...{ tick: async () => undefined, settled: async () => undefined, status: () => IDLE },
          }),
          onFault: () => undefined,
        });
      });
      await coordinator?.close();
    };
    for (const mode of ['observe', 'observe', 'auto', 'auto', 'propose'] as const) await lead(mode);
    check.equal(
      (await readAudit(metadata, 'x')).map(({ by, action, message }) => `${by}: ${action}: ${message}`),
      ['a: mode: plugin.mode is auto, it was observe', 'a: mode: plugin.mode is propose, it was auto'],
    );
    await metadata.close();
  }));

test.run();
