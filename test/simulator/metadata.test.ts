import { seededRandom } from '../../src/base/random.ts';
import { metadataStoreConformance } from '../../src/conformance/index.ts';
import { conformanceSuite } from '../support/conformance-suite.ts';
import { SimClock } from './clock.ts';
import { Life } from './life.ts';
import { SimMetadata } from './metadata.ts';
import { SimNetwork } from './network.ts';
import { NO_RATES } from './scenario.ts';

/** What schedules are judged by has to be a metadata store itself: the model, with nothing going wrong, in the suite's own time. */
conformanceSuite(
  'metadata store conformance: the simulator’s model',
  metadataStoreConformance(async () => {
    const clock = new SimClock();
    const rates = () => NO_RATES;
    const random = seededRandom(6n);
    const network = new SimNetwork({ clock, random, rates, handlerOf: () => null });
    const store = new SimMetadata({ clock, random, network, rates, onChange: () => {} });
    const stop = runWithTheWall(clock);
    let lives = 0;
    return {
      connect: async () => store.handleOf(new Life(`c${lives++}`, clock)),
      prefix: '/t/',
      ttlMsMin: 500,
      compact: async () => store.compact(),
      close: stop,
    };
  }),
);

/** Lets virtual time pass as real time does. @returns what ends it. */
function runWithTheWall(clock: SimClock): () => Promise<void> {
  const [startedMs, virtualMs] = [performance.now(), clock.nowMs()];
  let isOver = false;
  async function run(): Promise<void> {
    while (!isOver) {
      await clock.runUntil(virtualMs + performance.now() - startedMs, () => isOver);
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  }
  const running = run();
  return () => {
    isOver = true;
    return running;
  };
}
