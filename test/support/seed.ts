/** A fixed default: the suite does the same today as yesterday. */
const SEED_DEFAULT = 20_010_101n;

/**
 * The seed of a randomised test: `SEED=n` replays, `SEED=random` looks for what nobody has seen yet. It is printed when the
 * process ends badly, so that a rare failure is not lost.
 */
export function testSeed(label: string): bigint {
  const given = process.env.SEED;
  let seed = SEED_DEFAULT;
  if (given === 'random') seed = BigInt(Date.now());
  else if (given !== undefined) seed = BigInt(given);
  process.once('exit', (code) => {
    if (code !== 0) console.error(`${label}: replay with SEED=${seed}`);
  });
  return seed;
}
