import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { makeInstance } from '../../../plugin/operator/plan/make-instance.ts';
import { readPlanInstance } from '../../../plugin/operator/plan/read-instance.ts';
import type { Random } from '../../../src/base/random.ts';
import { DEFAULT_SETTINGS } from '../../../src/settings.ts';
import { mutateJson, mutateTree } from '../mutate.ts';
import type { FuzzTarget, Outcome } from '../target.ts';

const INSTANCE = {
  nodes: [
    { id: 'n1', zone: 'a', capacity: { cpu: 100 }, background: { cpu: 5 } },
    { id: 'n2', capacity: { cpu: 100 }, isDraining: true },
  ],
  partitions: [
    { id: 'a', node: 'n1', sizeBytes: 1e9, load: { cpu: [45, 50] }, upper: { cpu: [50, 60] } },
    { id: 'b', node: 'n2', sizeBytes: 1e9, load: { cpu: [25, 25] } },
  ],
  slotSeconds: 3600,
  startTime: '2026-01-01T00:00:00Z',
  bandwidthBytesPerSecond: 1e8,
  rules: {
    pinned: [{ partitions: ['a'], node: 'n1' }],
    apart: [{ partitions: ['a', 'b'] }],
    windows: ['mon-fri 01:00-05:00'],
  },
};

/** What `foreshard plan` reads. */
export class InstanceTarget implements FuzzTarget {
  readonly name = 'instance';
  readonly #folder = mkdtempSync(join(tmpdir(), 'foreshard-fuzz-'));

  generate(random: Random): Buffer {
    return Buffer.from(JSON.stringify(mutateTree(INSTANCE, random)) ?? 'null');
  }

  mutate(input: Buffer, random: Random): Buffer {
    return mutateJson(input, random);
  }

  async run(input: Buffer): Promise<Outcome> {
    const file = join(this.#folder, 'instance.json');
    writeFileSync(file, input);
    const content = await readPlanInstance(file);
    const made = makeInstance(file, content, DEFAULT_SETTINGS.affinity);
    return {
      kind: `${Math.min(5, made.nodeIds.length)} ${Math.min(5, made.partitionIds.length)} ${made.notes.length > 0}`,
      value: [content, made],
    };
  }

  close(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
