import { History } from '../../src/analyzer/history.ts';
import { MEMBER_FACTORIES } from '../../src/analyzer/members/registry.ts';
import { silentLogger } from '../../src/base/logger.ts';
import { seededRandom } from '../../src/base/random.ts';
import { loadKernels } from '../../src/kernels/instance.ts';
import { inlineRunner } from '../../src/kernels/pool.ts';
import type { EvaluationOptions } from './evaluation.ts';
import { judgeAt, profileOf } from './evaluation.ts';
import { type Score, ScoreBoard } from './scores.ts';
import type { SeriesSet } from './sets.ts';

const DAY_MS = 86_400_000;

/** What forecasts are compared with is always made from the history as it was measured, not as the forecaster may adjust it. */
const BASELINES = ['naive-week', 'qb-linear', 'qb-kernel'];

/** The scores of a forecast, of the named baselines, and of the members that it does without. */
export async function withOtherMembers(
  set: SeriesSet,
  scores: readonly Score[],
  options: EvaluationOptions,
): Promise<Score[]> {
  const all = scores.filter(({ method }) => !BASELINES.includes(method));
  for (const name of Object.keys(MEMBER_FACTORIES))
    if (!all.some(({ method }) => method === name)) all.push(...(await evaluateAlone(set, name, options)));
  return all;
}

/**
 * One member of the forecast by itself, fitted anew at every origin on all the history before it: as a named baseline, without
 * what the combination would make of it. Nothing where the first history is too short for it.
 */
async function evaluateAlone(
  set: SeriesSet,
  name: string,
  options: EvaluationOptions,
): Promise<readonly Score[]> {
  const { settings, origins, historyWindows } = options;
  const kernels = loadKernels();
  const first = (origins[0] as number) - historyWindows;
  const dayWindows = Math.max(1, Math.round(DAY_MS / set.windowMs));
  const horizon = settings.horizonSteps;
  const history = new History(
    {
      partitionCount: set.seriesCount,
      windowMs: set.windowMs,
      startMs: first * set.windowMs,
      driver: settings.driver,
      windowsMax: set.windowCount,
      weekWindows: 7 * dayWindows,
      dayWindows,
    },
    kernels.arena,
  );
  const factory = MEMBER_FACTORIES[name];
  if (factory === undefined) throw new Error(`no member is called ${name}`);
  const components = { runner: inlineRunner(kernels), random: seededRandom(1n), logger: silentLogger };
  const member = factory({ ...components, history, horizon }, settings);
  if (historyWindows < member.windowsMin) {
    member.close();
    return [];
  }
  const everybody = { first: 0, count: set.seriesCount };
  const out = kernels.arena.f64(set.seriesCount * horizon);
  const board = new ScoreBoard(options.ranges);
  let known = first;
  for (const origin of origins) {
    const profile = profileOf(set, known, origin);
    for (let index = 0; index < profile.windowCount; index++) {
      history.append(profile, index);
      await member.advance?.();
    }
    known = origin;
    await member.fit(everybody);
    await member.predict(everybody, out.pointer);
    const point = new Float64Array(out.view.length);
    for (let s = 0; s < set.seriesCount; s++)
      for (let step = 0; step < horizon; step++)
        point[step * set.seriesCount + s] = Math.expm1(Math.max(0, out.view[s * horizon + step] as number));
    judgeAt(set, origin, options)(board, name, point, []);
  }
  member.close();
  return board.scores();
}
