/** What captured processes leave behind. */
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { decodeQueryHours, encodeQueryHours } from '../../../plugin/host/records/query-hours-record.ts';
import {
  capturePrefix,
  hotKeysPrefix,
  queryClustersPrefix,
  queryHoursPrefix,
  queryTypesPrefix,
} from '../../../plugin/host/records/record-keys.ts';
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

test('when the query types of processes came that have gone is remembered, once', async () => {
  const metadata = new PlainMetadata();
  metadata.put('office', new Uint8Array());
  const fence = { key: 'office', revisionIs: metadata.entries.get('office')?.revision as number };
  const root = queryHoursPrefix('main');
  const hours = new Float64Array(168).fill(10);
  const about = { windowMs: 3_600_000, halfLifeMs: DAY_MS, watched: '1'.repeat(168) };
  const toldAt = (atMs: number): Uint8Array =>
    encodeQueryHours([{ template: 'get', hours }], { ...about, atMs });
  // More than one turn takes, of two storage nodes; one lives.
  for (let id = 20_000; id < 20_060; id++)
    for (const node of [1, 2]) metadata.put(`${root}${node}/${id}`, toldAt(NOW_MS - 2 * DAY_MS));
  metadata.put(`${capturePrefix('main')}30000`, pulseOf(NOW_MS));
  metadata.put(`${root}1/30000`, toldAt(NOW_MS));
  const store = metadata as unknown as MetadataStore;
  const counts: number[] = [];
  for (let turn = 0; turn < 4; turn++)
    counts.push(await forgetGoneProcesses(store, { clusterName: 'main', nowMs: NOW_MS, fence }));
  check.equal(counts, [50, 50, 20, 0]);
  const { entries } = await metadata.list(root);
  check.equal(entries.map(({ key }) => key.slice(root.length)).sort(), ['1/30000', '1/gone', '2/gone']);
  const [memory] = entries.filter(({ key }) => key === `${root}1/gone`);
  const record = decodeQueryHours('1/gone', memory?.value as Uint8Array);
  check.is(record.types[0]?.peak, 600, 'sixty of ten queries an hour');
});

test.run();
