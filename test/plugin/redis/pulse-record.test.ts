/** What captured processes leave behind. */
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { capturePrefix } from '../../../plugin/host/record-keys.ts';
import { encodePulse, forgetGonePulses } from '../../../plugin/redis/pulse-record.ts';
import type { MetadataStore } from '../../../src/ports/metadata-store.ts';
import { PlainMetadata } from '../../support/plain-metadata.ts';

const test = suite('pulses of captured processes');
const DAY_MS = 86_400_000;
const NOW_MS = 100 * DAY_MS;

const pulseOf = (atMs: number): Uint8Array =>
  encodePulse({
    v: 1,
    atMs,
    application: 'shop',
    host: 'h',
    pid: 1,
    startedMs: 0,
    fault: null,
    capturedCount: 0,
    droppedCount: 0,
    keylessCount: 0,
    intervalMs: 1_000,
    latency: [],
  });

test('those of processes that have been gone for a day are removed by the leader, some at a time', async () => {
  const metadata = new PlainMetadata();
  const prefix = capturePrefix('main');
  metadata.put('office', new Uint8Array());
  const fence = { key: 'office', revisionIs: metadata.entries.get('office')?.revision as number };
  for (let id = 0; id < 100; id++) metadata.put(`${prefix}${id}`, pulseOf(NOW_MS - 2 * DAY_MS));
  metadata.put(`${prefix}100`, pulseOf(NOW_MS - DAY_MS / 2));
  metadata.put(`${prefix}101`, new TextEncoder().encode('of another version'));
  const forget = (by = fence) =>
    forgetGonePulses(metadata as unknown as MetadataStore, { clusterName: 'main', nowMs: NOW_MS, fence: by });
  check.is(await forget({ key: 'office', revisionIs: 77 }), 0, 'another leads');
  check.is((await forget()) + (await forget()), 100);
  check.is(await forget(), 0);
  const { entries } = await metadata.list(prefix);
  check.equal(
    entries.map(({ key }) => key.slice(prefix.length)),
    ['100', '101'],
  );
});

test.run();
