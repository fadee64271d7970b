/**
 * The seed of a randomised test: `SEED=n` replays. It is printed on failure by being part of the process's last words, so
 * that a rare failure is not lost.
 */
export function testSeed(label: string): bigint {
  const given = process.env.SEED;
  const seed = given === undefined ? BigInt(Date.now()) : BigInt(given);
  process.once('exit', (code) => {
    if (code !== 0) console.error(`${label}: replay with SEED=${seed}`);
  });
  return seed;
}
