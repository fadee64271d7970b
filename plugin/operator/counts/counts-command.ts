import { once } from 'node:events';
import { contiguousMap } from '../../../src/model/partition-map.ts';
import type { Settings } from '../../../src/settings.ts';
import { LogProgress } from '../log-input/log-progress.ts';
import { openLog, partitionOfKey, weekWindowOf } from '../log-input/open-log.ts';
import { printLogWarnings } from '../log-input/warnings.ts';
import { type CountSeries, countLog } from './count-log.ts';
import type { CountFlags } from './flags.ts';

/** `foreshard counts FILE`: long CSV, which `foreshard forecast -` reads. */
export async function printCounts(
  file: string,
  flags: CountFlags & { readonly json?: boolean },
  { cluster }: Pick<Settings, 'cluster'>,
): Promise<void> {
  const partitionCount = flags.partitions ?? cluster.partitionCount;
  const { ownerOf } = contiguousMap(partitionCount, flags.nodes ?? cluster.storageNodeCount);
  const windowMs = weekWindowOf(flags.window);
  const reading = openLog(file === '-' ? process.stdin : file, flags);
  const progress = LogProgress.onStandardError(reading, flags);
  let all: readonly CountSeries[];
  try {
    all = await countLog(reading, {
      by: flags.by,
      windowMs,
      partitionCount,
      ownerOf,
      partitionOf: (key) => partitionOfKey(key, partitionCount),
      onBatch: () => progress.update(),
    });
  } finally {
    progress.end();
  }
  printLogWarnings(reading.summary());
  if (flags.json === true) return await writeJson(all, windowMs);
  await write('series,time,value\n');
  for (const series of all) await write(csvOf(series));
}

/** One object, series by series: a string may not be as long as all of it. */
async function writeJson(all: readonly CountSeries[], windowMs: number): Promise<void> {
  await write(`{"windowMs":${windowMs},"series":[`);
  for (const [index, { id, startMs, values }] of all.entries())
    await write(`${index === 0 ? '' : ','}\n${JSON.stringify({ id, startMs, values: [...values] })}`);
  await write(']}\n');
}

function csvOf({ id, startMs, windowMs, values }: CountSeries): string {
  let text = '';
  values.forEach((value, window) => {
    text += `${id},${new Date(startMs + window * windowMs).toISOString()},${value}\n`;
  });
  return text;
}

/** In step with who reads: thousands of partitions over months are gigabytes of text. */
async function write(text: string): Promise<void> {
  if (!process.stdout.write(text)) await once(process.stdout, 'drain');
}
