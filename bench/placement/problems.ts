import { buildInstance, type PlacementInputs, type PlacementInstance } from '../../src/affinity/instance.ts';
import { type AffinitySettings, DEFAULT_AFFINITY_SETTINGS } from '../../src/affinity/settings.ts';
import { seededRandom } from '../../src/base/random.ts';
import { BANDWIDTH, SEED, type Size, sizeName, syntheticInputs } from './synthetic.ts';

/** Something to minimise over all maps, without rules. */
export interface Problem {
  readonly name: string;
  readonly instance: PlacementInstance;
}

/** Of the share of all bytes that moves, in index points. */
const PRICE_OF_ALL_BYTES = 0.5;

/** Objective B: the load-weighted mean of rho / (1 - rho), plus half the share of all bytes that moves. */
export function problemB(size: Size): Problem {
  const inputs = syntheticInputs(seededRandom(SEED), size);
  return { name: `B/${sizeName(size)}`, instance: buildInstance(inputs, settingsFor(inputs)) };
}

/** Objective A: the highest utilisation, plus half the share of all bytes that moves. */
export function problemA(size: Size): Problem {
  const { instance } = problemB(size);
  return {
    name: `A/${sizeName(size)}`,
    instance: { ...instance, slotWeight: instance.slotWeight.map(() => 0), peakWeight: 1 },
  };
}

/** Bytes are the only price, there is no doubt and no rule: what others can be compared by. */
function settingsFor(inputs: PlacementInputs): AffinitySettings {
  const bytes = inputs.partitionBytes.reduce((sum, own) => sum + own, 0);
  return {
    ...DEFAULT_AFFINITY_SETTINGS,
    riskZ: 0,
    overloadWeight: 0,
    isCapacityHard: false,
    moveFixedIndexHours: 0,
    moveBlipIndexHours: 0,
    copyUtilisation: 0,
    moveIndexHoursPerSecond: (PRICE_OF_ALL_BYTES * inputs.forecast.horizonSteps * BANDWIDTH) / bytes,
    benefitCostRatio: 1,
    movesMax: inputs.map.partitionCount,
  };
}
