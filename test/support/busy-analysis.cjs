/**
 * Preloaded by a query node (`--require`, which reaches its threads): its analysis thread computes most of the time, for three
 * seconds at a time, and is not to be spoken to meanwhile. Plain JavaScript, as a preload runs before TypeScript can be loaded.
 */
const { isMainThread, workerData } = require('node:worker_threads');

const STRETCH_MS = 3_000;
const REST_MS = 20;

// The ring is what only the analysis thread is given.
if (!isMainThread && workerData?.ring !== undefined) {
  const stretch = () => {
    const endMs = performance.now() + STRETCH_MS;
    while (performance.now() < endMs);
    setTimeout(stretch, REST_MS);
  };
  setTimeout(stretch, REST_MS);
}
