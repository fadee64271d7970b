import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import { suite } from 'uvu';
import { CpuPriceBook, type ServerWork } from '../../../../src/analyzer/cpu/cpu-prices.ts';
import { nonNegativeLeastSquares } from '../../../../src/analyzer/cpu/non-negative-least-squares.ts';
import { seededRandom } from '../../../../src/base/random.ts';

const test = suite('CPU by partition');

/** What the server of these tests really spends, CPU seconds. */
const TRUE = { perTimedSecond: 1, perRequest: 14e-6, perWrite: 45e-6, perKibibyte: 0.8e-6, perSecond: 0.02 };

/** A stretch of ten seconds: loads and mixes vary as days and clients do, and the process's CPU is measured with some noise. */
function stretch(
  random: () => number,
  hour: number,
): ServerWork & { elapsedSeconds: number; cpuSeconds: number } {
  const day = 1 + 0.7 * Math.sin((2 * Math.PI * hour) / 24);
  const requests = 20_000 * day * (0.7 + 0.6 * random());
  const writes = requests * 0.5 * random();
  const kibibytes = requests * 4 * random();
  const timedSeconds = requests * 20e-6 * random();
  const spent =
    TRUE.perRequest * requests + TRUE.perWrite * writes + TRUE.perKibibyte * kibibytes + TRUE.perSecond * 10;
  return {
    ...{ requests, writes, kibibytes, timedSeconds, elapsedSeconds: 10 },
    cpuSeconds: (timedSeconds + spent) * (0.97 + 0.06 * random()),
  };
}

test('prices of kinds of work are found from the CPU of the process and what it did', () => {
  const random = seededRandom(4n);
  const book = new CpuPriceBook();
  for (let i = 0; i < 2000; i++) book.observe(stretch(() => random.nextFloat(), i / 100));
  const found = book.prices();
  for (const kind of ['perTimedSecond', 'perRequest', 'perWrite', 'perKibibyte', 'perSecond'] as const) {
    const ratio = found[kind] / TRUE[kind];
    assert.ok(ratio > 0.85 && ratio < 1.15, `${kind}: ${found[kind]} in place of ${TRUE[kind]}`);
  }
});

test('prices of a version that has gone are forgotten in a day', () => {
  const random = seededRandom(11n);
  const book = new CpuPriceBook();
  for (const perRequest of [60e-6, 20e-6])
    for (let i = 0; i < 24 * 6; i++) {
      const requests = 1e6 * random.nextFloat();
      const work = { requests, writes: 0, kibibytes: 0, timedSeconds: 0, elapsedSeconds: 600 };
      book.observe({ ...work, cpuSeconds: requests * perRequest + 600 * 0.01 });
    }
  const { perRequest } = book.prices();
  assert.ok(perRequest < 25e-6, `${perRequest}`);
});

test('a second of work counts alike, whether it was looked at once in ten minutes or sixty times', () => {
  const random = seededRandom(12n);
  const book = new CpuPriceBook();
  const observe = (elapsedSeconds: number, perRequest: number): void => {
    const requests = elapsedSeconds * 1000 * (0.5 + random.nextFloat());
    const work = { requests, writes: 0, kibibytes: 0, timedSeconds: 0, elapsedSeconds };
    book.observe({ ...work, cpuSeconds: requests * perRequest });
  };
  for (let i = 0; i < 20; i++) {
    observe(600, 20e-6);
    for (let look = 0; look < 60; look++) observe(10, 60e-6);
  }
  const { perRequest } = book.prices();
  assert.ok(Math.abs(perRequest / 40e-6 - 1) < 0.1, `${perRequest}`);
});

test('prices go on where they were saved; what is of another version, or cut short, is refused and changes nothing', () => {
  const random = seededRandom(13n);
  const book = new CpuPriceBook();
  for (let i = 0; i < 100; i++) book.observe(stretch(() => random.nextFloat(), i / 10));
  const saved = structuredClone(book.save());
  const restored = new CpuPriceBook();
  restored.load(saved);
  assert.deepEqual(restored.prices(), book.prices());
  const broken = [
    { ...saved, version: saved.version + 1 },
    { ...saved, gram: saved.gram.slice(1) },
    { ...saved, products: saved.products.map(() => Number.NaN) },
    {},
  ];
  for (const other of broken) {
    assert.throws(() => restored.load(other as typeof saved), { code: 'FORESHARD_CORRUPT' });
    assert.deepEqual(restored.prices(), book.prices());
  }
});

test('where all kinds come together their sum is right, whoever of them is believed', () => {
  const book = new CpuPriceBook();
  for (let i = 0; i < 100; i++)
    book.observe({
      ...{ requests: 1000, writes: 500, kibibytes: 2000, timedSeconds: 0.01 },
      ...{ elapsedSeconds: 10, cpuSeconds: 0.31 },
    });
  const { perTimedSecond, perRequest, perWrite, perKibibyte, perSecond } = book.prices();
  const sum =
    0.01 * perTimedSecond + 1000 * perRequest + 500 * perWrite + 2000 * perKibibyte + 10 * perSecond;
  assert.ok(Math.abs(sum / 0.31 - 1) < 0.02, `${sum}`);
  assert.ok(Object.values(book.prices()).every((price) => price >= 0));
});

test('a partition of dear queries has the greater share, though counts and bytes are the same', () => {
  const book = new CpuPriceBook();
  const cheap: ServerWork = { requests: 5000, writes: 0, kibibytes: 500, timedSeconds: 0.01 };
  const dear: ServerWork = { ...cheap, timedSeconds: 1.5 };
  const whole = {
    ...{ requests: 10_000, writes: 0, kibibytes: 1000, timedSeconds: 1.51 },
    ...{ elapsedSeconds: 10, cpuSeconds: 1.75 },
  };
  for (let i = 0; i < 100; i++) book.observe(whole);
  const { partitionSeconds, backgroundSeconds } = book.attribute(whole, [cheap, dear]);
  const [first, second] = partitionSeconds as unknown as [number, number];
  assert.ok(second > 10 * first, `${second} beside ${first}`);
  assert.ok(
    Math.abs(first + second + backgroundSeconds - 1.75) < 1e-9,
    'all that was measured is somebody’s',
  );
});

test('seconds that the machine took away while a request was timed are not charged to it', () => {
  const book = new CpuPriceBook();
  const random = seededRandom(8n);
  // The dear node's requests are timed at twice the CPU that they take; the other one's cost sockets alone.
  for (let i = 0; i < 300; i++) {
    const requests = 10_000 * (0.5 + random.nextFloat());
    const usual = { requests, writes: 0, kibibytes: requests / 10, elapsedSeconds: 10 };
    book.observe({ ...usual, timedSeconds: requests * 200e-6, cpuSeconds: requests * 130e-6 });
    book.observe({ ...usual, timedSeconds: requests * 2e-6, cpuSeconds: requests * 31e-6 });
  }
  const { perTimedSecond } = book.prices();
  assert.ok(perTimedSecond > 0.45 && perTimedSecond < 0.55, `${perTimedSecond}`);
  const own = { requests: 10_000, writes: 0, kibibytes: 1000, timedSeconds: 0.02 };
  const { partitionSeconds } = book.attribute({ elapsedSeconds: 10, cpuSeconds: 0.31 }, [own]);
  assert.ok((partitionSeconds[0] as number) > 0.25, `${partitionSeconds[0]} of 0.31 s`);
});

test('under a load that never changes what cannot be told apart is the work’s', () => {
  const book = new CpuPriceBook();
  const steady = {
    ...{ requests: 24_000, writes: 0, kibibytes: 900, timedSeconds: 0.05 },
    ...{ elapsedSeconds: 20, cpuSeconds: 1.1 },
  };
  for (let i = 0; i < 100; i++) book.observe(steady);
  const { partitionSeconds } = book.attribute(steady, [steady]);
  assert.ok((partitionSeconds[0] as number) > 0.8, `${partitionSeconds[0]} of 1.1 s`);
});

test('a server that nobody asks spends on itself', () => {
  const book = new CpuPriceBook();
  const idle = {
    ...{ requests: 0, writes: 0, kibibytes: 0, timedSeconds: 0 },
    ...{ elapsedSeconds: 10, cpuSeconds: 0.2 },
  };
  for (let i = 0; i < 500; i++) book.observe(idle);
  const { partitionSeconds, backgroundSeconds } = book.attribute(idle, [idle]);
  assert.equal(partitionSeconds[0], 0);
  assert.equal(backgroundSeconds, 0.2);
  // The first query of the night is not charged with the idle hours' CPU.
  const one = { requests: 1, writes: 0, kibibytes: 1, timedSeconds: 1e-5 };
  const night = book.attribute({ elapsedSeconds: 10, cpuSeconds: 0.2 }, [one]);
  assert.ok((night.partitionSeconds[0] as number) < 1e-3, `${night.partitionSeconds[0]}`);
});

test('what a server does beside its requests, such as to send a copy of a partition, is no load of the others', () => {
  const book = new CpuPriceBook();
  const random = seededRandom(9n);
  for (let i = 0; i < 300; i++) book.observe(stretch(() => random.nextFloat(), i / 100));
  const usual = stretch(() => 0.5, 0);
  const copying = { ...usual, cpuSeconds: 9.5 };
  assert.ok(usual.cpuSeconds < 1, `${usual.cpuSeconds}`);
  book.observe(copying);
  const { partitionSeconds, backgroundSeconds } = book.attribute(copying, [usual]);
  const own = partitionSeconds[0] as number;
  assert.ok(own < 3 * usual.cpuSeconds, `${own} in place of ${usual.cpuSeconds}`);
  assert.ok(Math.abs(own + backgroundSeconds - 9.5) < 1e-9);
});

test('least squares: no negative coordinate, and none that could still be moved to advantage', () => {
  const cell = fc.double({ min: 0, max: 10, noNaN: true });
  fc.assert(
    fc.property(
      fc.array(fc.tuple(cell, cell, cell), { minLength: 3, maxLength: 8 }),
      fc.array(fc.double({ min: -10, max: 10, noNaN: true }), { minLength: 8, maxLength: 8 }),
      (rows, rest) => {
        const gram = new Float64Array(9);
        const products = new Float64Array(3);
        rows.forEach((row, r) => {
          for (let i = 0; i < 3; i++) {
            products[i]! += (row[i] as number) * (rest[r] as number);
            for (let j = 0; j < 3; j++) gram[i * 3 + j]! += (row[i] as number) * (row[j] as number);
          }
        });
        for (let i = 0; i < 3; i++) gram[i * 4]! += 1e-3;
        const found = nonNegativeLeastSquares(gram, products);
        const scale = 1 + Math.max(...gram, ...products.map(Math.abs));
        for (let i = 0; i < 3; i++) {
          let slope = -(products[i] as number);
          for (let j = 0; j < 3; j++) slope += (gram[i * 3 + j] as number) * (found[j] as number);
          assert.ok((found[i] as number) >= 0);
          // Karush, Kuhn and Tucker: level where it is above 0, rising where it is held at 0.
          if ((found[i] as number) > 0) assert.ok(Math.abs(slope) < 1e-4 * scale, `${slope}`);
          else assert.ok(slope > -1e-4 * scale, `${slope}`);
        }
      },
    ),
    { seed: 5, numRuns: 100 },
  );
});

test.run();
