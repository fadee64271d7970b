import fc from 'fast-check';
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { firstPiece, nextPiece } from '../../../../src/migration/throttle/piece-size.ts';

const test = suite('piece size');
const LIMITS = { bytesMin: 32 << 10, bytesMax: 256 << 10, tookMsMax: 5 };

/** A target whose pieces cost a commit and so much a KiB. */
function settle(commitMs: number, msPerKib: number): { readonly bytes: number; readonly tookMs: number } {
  let piece = firstPiece(LIMITS);
  const tookOf = (bytes: number): number => commitMs + (bytes / 1024) * msPerKib;
  for (let i = 0; i < 60; i++) piece = nextPiece(piece, tookOf(piece.bytes), LIMITS);
  return { bytes: piece.bytes, tookMs: tookOf(piece.bytes) };
}

test('a fast target takes the largest pieces', () => {
  check.is(settle(0.5, 0.01).bytes, LIMITS.bytesMax);
});

test('property: a piece holds the loop for about as long as it may, or is one of the smallest', () => {
  fc.assert(
    fc.property(
      fc.double({ min: 0, max: 4, noNaN: true }),
      fc.double({ min: 0.001, max: 1, noNaN: true }),
      (a, b) => {
        const { bytes, tookMs } = settle(a, b);
        return bytes === LIMITS.bytesMin || bytes === LIMITS.bytesMax || Math.abs(tookMs - 5) < 0.75;
      },
    ),
  );
});

test('a disk whose commit alone takes longer gets the smallest, not ever smaller ones', () => {
  check.is(settle(40, 0.01).bytes, LIMITS.bytesMin);
});

test('one pause of the machine makes the next piece smaller by a third at most', () => {
  const piece = { bytes: 200 << 10, meanMs: 5 };
  check.ok(nextPiece(piece, 900, LIMITS).bytes >= (200 << 10) / 1.5 - 1);
});

test.run();
