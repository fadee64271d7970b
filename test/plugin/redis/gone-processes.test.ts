/** What captured processes leave behind. */
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import {
  capturePrefix,
  hotKeysPrefix,
  queryClustersPrefix,
  queryHoursPrefix,
  queryTypesPrefix,
} from '../../../plugin/host/record-keys.ts';
import { forgetGoneProcesses } from '../../../plugin/redis/gone-processes.ts';
import { encodePulse } from '../../../plugin/redis/pulse-record.ts';
import type { MetadataStore } from '../../../src/ports/metadata-store.ts';
import { PlainMetadata } from '../../support/plain-metadata.ts';

const test = suite('captured processes that have gone');
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
    forgetGoneProcesses(metadata as unknown as MetadataStore, {
      clusterName: 'main',
      nowMs: NOW_MS,
      fence: by,
    });
  check.is(await forget({ key: 'office', revisionIs: 77 }), 0, 'another leads');
  check.is((await forget()) + (await forget()), 100);
  check.is(await forget(), 0);
  const { entries } = await metadata.list(prefix);
  check.equal(
    entries.map(({ key }) => key.slice(prefix.length)),
    ['100', '101'],
  );
});

test('with a process goes all that it has told, but what query nodes and present processes tell stays', async () => {
  const metadata = new PlainMetadata();
  metadata.put('office', new Uint8Array());
  const fence = { key: 'office', revisionIs: metadata.entries.get('office')?.revision as number };
  const [gone, present, forgotten] = [20_001, 20_002, 20_003];
  metadata.put(`${capturePrefix('main')}${gone}`, pulseOf(NOW_MS - 2 * DAY_MS));
  metadata.put(`${capturePrefix('main')}${present}`, pulseOf(NOW_MS));
  const prefixes = [queryTypesPrefix, queryClustersPrefix, hotKeysPrefix].map((prefix) => prefix('main'));
  // Of the last one only the pulse has been removed, as earlier versions did.
  for (const id of [0, 3, gone, present, forgotten]) {
    for (const prefix of prefixes) metadata.put(`${prefix}${id}`, new Uint8Array());
    metadata.put(`${queryHoursPrefix('main')}1/${id}`, new Uint8Array());
  }
  const store = metadata as unknown as MetadataStore;
  check.is(await forgetGoneProcesses(store, { clusterName: 'main', nowMs: NOW_MS, fence }), 9);
  for (const prefix of [...prefixes, `${queryHoursPrefix('main')}1/`]) {
    const { entries } = await metadata.list(prefix);
    check.equal(
      entries.map(({ key }) => Number(key.slice(prefix.length))).sort((a, b) => a - b),
      [0, 3, present],
    );
  }
});

test.run();
