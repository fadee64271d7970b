import type { NodeId } from '../../model/ids.ts';
import type { Digest } from '../../model/migration.ts';
import type { EntryFingerprint, EntryPage, NodeMigrationStatus } from '../../ports/storage-engine.ts';
import { claim, claimEqual, claimRefused, eventually } from '../claims.ts';
import { HandMadeMove, SOURCE, TARGET } from '../hand-made-move.ts';
import type { EngineCase } from './engine-case.ts';

const KEY_PRIVACY = { prefixBytes: 24, isHashKept: true };

/** Both sides scan what they have at one lsn. */
async function verify(move: HandMadeMove, round = 0) {
  move.enter('VERIFY');
  const { lsn } = await move.engine.beginVerify(SOURCE, move.command, { isFresh: true, round });
  await move.reaches(TARGET, lsn);
  await move.engine.beginVerify(TARGET, move.command, { barrierLsn: lsn, round });
  return { lsn, source: await result(move, SOURCE, lsn), target: await result(move, TARGET, lsn) };
}

async function result(move: HandMadeMove, nodeId: NodeId, lsn: number) {
  let found: NodeMigrationStatus['verify'] = null;
  await eventually(
    move.patience,
    async () => {
      found = (await move.status(nodeId, 'verify')).verify;
      return found !== null;
    },
    `node ${nodeId} tells what it has scanned at ${lsn}`,
  );
  const { lsn: at, scanned, running } = found as unknown as NonNullable<NodeMigrationStatus['verify']>;
  claimEqual(at, lsn, `the lsn at which node ${nodeId} has scanned`);
  claimEqual(running, scanned, `what node ${nodeId} kept while it wrote, and what it reads back`);
  return scanned;
}

/** As the coordinator asks: so many lanes at a time, page by page. */
const LANES_AT_ONCE = 64;

async function fingerprints(move: HandMadeMove, nodeId: NodeId, lsn: number, { buckets }: Digest) {
  const found: EntryFingerprint[] = [];
  for (let first = 0; first < buckets.length; first += LANES_AT_ONCE) {
    const count = Math.min(LANES_AT_ONCE, buckets.length - first);
    const lanes = Array.from({ length: count }, (_, i) => first + i);
    for (let fromPosition: number | null = 0; fromPosition !== null; ) {
      const options = { lsn, lanes, privacy: KEY_PRIVACY, entriesMax: 16, fromPosition };
      const page: EntryPage = await move.engine.listEntries(nodeId, move.command, options);
      found.push(...page.entries);
      claim(page.nextPosition === null || page.nextPosition > fromPosition, 'every page goes on');
      fromPosition = page.nextPosition;
    }
  }
  return found;
}

/** Digests tell whether two sides hold the same. */
export const VERIFY_CASES: readonly EngineCase[] = [
  {
    name: 'both sides find the same digest at one lsn, and it is that of what is there',
    needs: 'checksum',
    async check(parts) {
      const move = await HandMadeMove.begin(parts, 100);
      await move.prepare();
      await move.copy();
      const first = await verify(move);
      claimEqual(first.target, first.source, 'the digests of both sides');
      const present = [...move.acknowledged.values()].filter((value) => value !== null).length;
      claimEqual(first.source.entryCount, present, 'entries in the digest');
      await move.write(SOURCE, 'first:0', 'another value');
      await move.copied();
      const second = await verify(move, 1);
      claimEqual(second.target, second.source, 'the digests after a write');
      claim(
        JSON.stringify(second.source.buckets) !== JSON.stringify(first.source.buckets),
        'another value makes another digest',
      );
    },
  },
  {
    name: 'the fence tells the digest of what it closes, and the copy has the same when it is there',
    needs: 'checksum',
    async check(parts) {
      const move = await HandMadeMove.begin(parts, 60);
      await move.prepare();
      await move.copy();
      await move.writeAll(SOURCE, 20, 'just before');
      const { lsn, digest } = await move.putUpFence();
      await move.reaches(TARGET, lsn);
      claimEqual((await move.status(TARGET, 'digest')).digest, digest, 'the digest of the copy at the fence');
    },
  },
  {
    name: 'after a verification both sides list the same entries, without their values',
    needs: 'checksum',
    async check(parts) {
      const move = await HandMadeMove.begin(parts, 60);
      await move.prepare();
      await move.copy();
      const { lsn, source } = await verify(move);
      const of = async (nodeId: NodeId) =>
        (await fingerprints(move, nodeId, lsn, source))
          .map(({ keyDigest, valueDigest }) => `${keyDigest} ${valueDigest}`)
          .sort();
      const listed = await of(SOURCE);
      claimEqual(new Set(listed).size, source.entryCount, 'different entries that are listed');
      claimEqual(await of(TARGET), listed, 'what the target lists');
    },
  },
  {
    name: 'a copy that is beyond the barrier without a scan says so',
    needs: 'checksum',
    async check(parts) {
      const move = await HandMadeMove.begin(parts, 20);
      await move.prepare();
      await move.copy();
      move.enter('VERIFY');
      const { lsn } = await move.status(TARGET);
      claim(lsn > 1, 'the copy has come somewhere');
      await claimRefused(
        move.engine.beginVerify(TARGET, move.command, { barrierLsn: lsn - 1 }),
        ['FORESHARD_CONFLICT'],
        'a barrier that the copy has passed',
      );
    },
  },
];
