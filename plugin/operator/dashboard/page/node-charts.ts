import { h, svg } from './dom.ts';
import { percent, time } from './format.ts';

/** As in a proposal's record, per mille: [dimension][node][column]. */
export interface UtilisationTable {
  readonly startMs: number;
  readonly stepMs: number;
  readonly dimensions: readonly string[];
  readonly meanBefore: readonly (readonly (readonly number[])[])[];
  readonly upperBefore: readonly (readonly (readonly number[])[])[];
  readonly meanAfter: readonly (readonly (readonly number[])[])[];
  readonly upperAfter: readonly (readonly (readonly number[])[])[];
}

export interface ComfortZone {
  readonly node?: number;
  readonly dimension?: string;
  readonly low: number;
  readonly high: number;
}

/** One small chart a node: forecast utilisation as things are (dashed), as planned (line and band), its comfort zone, its capacity. */
export function nodeCharts(
  utilisation: UtilisationTable,
  dimension: number,
  zones: readonly ComfortZone[],
): HTMLElement {
  const { meanBefore, meanAfter, upperAfter, dimensions } = utilisation;
  const nodes = meanAfter[dimension] ?? [];
  const most = Math.max(
    1_100,
    ...nodes.flat(),
    ...(upperAfter[dimension] ?? []).flat(),
    ...(meanBefore[dimension] ?? []).flat(),
  );
  return h(
    'div',
    { class: 'charts' },
    ...nodes.map((after, node) => {
      const before = meanBefore[dimension]?.[node] ?? [];
      const upper = upperAfter[dimension]?.[node] ?? [];
      const zone = zones.findLast(
        (of) =>
          (of.node ?? node) === node && (of.dimension ?? dimensions[dimension]) === dimensions[dimension],
      );
      const peakBefore = Math.max(0, ...before) / 1000;
      const peakAfter = Math.max(0, ...after) / 1000;
      const said = `node ${node}: peak ${percent(peakBefore)} as it is, ${percent(peakAfter)} as planned`;
      return h('figure', {}, chart({ after, before, upper, most, zone }, said), h('figcaption', {}, said));
    }),
  );
}

interface Lines {
  readonly after: readonly number[];
  readonly before: readonly number[];
  readonly upper: readonly number[];
  readonly most: number;
  readonly zone: ComfortZone | undefined;
}

function chart({ after, before, upper, most, zone }: Lines, label: string): SVGElement {
  const width = Math.max(1, after.length - 1);
  const y = (perMille: number): number => 100 - (perMille / most) * 100;
  const points = (line: readonly number[]): string => line.map((value, x) => `${x},${y(value)}`).join(' ');
  const band = `${points(upper)} ${[...after]
    .reverse()
    .map((value, i) => `${after.length - 1 - i},${y(value)}`)
    .join(' ')}`;
  return svg(
    'svg',
    { viewBox: `0 0 ${width} 100`, preserveAspectRatio: 'none', role: 'img', 'aria-label': label },
    zone === undefined
      ? null
      : svg('rect', {
          class: 'zone',
          x: 0,
          width,
          y: y(zone.high * 1000),
          height: ((zone.high - zone.low) * 1e5) / most,
        }),
    svg('polygon', { class: 'band', points: band }),
    svg('line', { class: 'capacity', x1: 0, x2: width, y1: y(1000), y2: y(1000) }),
    svg('polyline', { class: 'before', points: points(before) }),
    svg('polyline', { class: 'after', points: points(after) }),
  );
}

export const horizonText = ({ startMs, stepMs, meanAfter }: UtilisationTable): string =>
  `from ${time(startMs)} to ${time(startMs + stepMs * (meanAfter[0]?.[0]?.length ?? 0))}`;
