/** `node --import tsx examples/memory-metadata/conformance.ts`: what the suite says of the store beside it. */
import { type Clock, systemClock } from '../../src/base/clock.ts';
import { judgeMetadataStore, type OpenMetadata } from '../../src/conformance/index.ts';
import { MemoryMetadata } from './memory-metadata.ts';

/** All that the suite asks of the author of a metadata store. */
export const openMemoryMetadata =
  (clock: Clock): OpenMetadata =>
  async () => {
    const store = new MemoryMetadata(clock);
    return {
      connect: async () => store.connect(),
      prefix: '/test/',
      ttlMsMin: 250,
      compact: async () => store.compact(),
      close: async () => {},
    };
  };

if (import.meta.url === new URL(process.argv[1] ?? '', 'file:').href) {
  const { passed, skipped, failed } = await judgeMetadataStore(openMemoryMetadata(systemClock()));
  for (const { name, why } of skipped) console.log(`skipped: ${name}: ${why}`);
  for (const { name, why } of failed) console.log(`FAILED: ${name}: ${why}`);
  console.log(`${passed.length} passed, ${skipped.length} skipped, ${failed.length} failed`);
  process.exitCode = failed.length > 0 ? 1 : 0;
}
