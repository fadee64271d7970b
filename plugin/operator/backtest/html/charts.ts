/** Curves as SVG that carries its own colours, light and dark: the same picture in the report and by itself. */

export interface Curve {
  readonly name: string;
  /** Of the palette, from 0. */
  readonly colour: number;
  readonly isDashed?: boolean;
  /** f64[day or hour]: utilisation. */
  readonly values: Float64Array;
}

export interface ChartOptions {
  readonly title: string;
  readonly startMs: number;
  readonly stepMs: number;
}

const WIDTH = 900;
const HEIGHT = 280;
const LEFT = 52;
const RIGHT = 12;
const TOP = 44;
const BOTTOM = 28;
const OVERLOAD = 0.8;

/** Okabe & Ito 2008: told apart by people who see fewer colours; on dark ground the dark ones are lighter. */
const LIGHT = ['#d55e00', '#0072b2', '#009e73', '#cc79a7', '#e69f00', '#56b4e9', '#5b5b5b', '#8c6d00'];
const DARK = ['#ff8533', '#4fb3f0', '#2ed6a4', '#e6a3c8', '#f5c04a', '#8fd0f5', '#b8b8b8', '#d9c36a'];

const styleOf = (curves: readonly Curve[]): string => {
  const colours = (palette: readonly string[]): string =>
    curves
      .map(
        ({ colour }) =>
          `.c${colour}{stroke:${palette[colour % palette.length]}}.f${colour}{fill:${palette[colour % palette.length]}}`,
      )
      .join('');
  return (
    `<style>text{font:12px system-ui,sans-serif;fill:#222}.t{font-size:14px;font-weight:600}.g{stroke:#ddd}.o{stroke:#888;stroke-dasharray:2 3}` +
    `polyline{fill:none;stroke-width:1.6}.d{stroke-dasharray:6 3}${colours(LIGHT)}` +
    `@media(prefers-color-scheme:dark){text{fill:#ddd}.g{stroke:#444}${colours(DARK)}}</style>`
  );
};

/** Utilisation over time, 0 to the highest value, with a line at 80 %. */
export function utilisationChart(curves: readonly Curve[], options: ChartOptions): string {
  const { title, startMs, stepMs } = options;
  const count = Math.max(...curves.map(({ values }) => values.length));
  const highest = Math.max(1, ...curves.map(({ values }) => values.reduce((a, b) => Math.max(a, b), 0)));
  const top = Math.ceil(highest * 5) / 5;
  const x = (i: number): number => LEFT + ((WIDTH - LEFT - RIGHT) * i) / Math.max(1, count - 1);
  const y = (rho: number): number => HEIGHT - BOTTOM - ((HEIGHT - TOP - BOTTOM) * rho) / top;
  const round = (value: number): string => value.toFixed(1);
  const parts = [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${escapeText(title)}">`,
    styleOf(curves),
    `<text class="t" x="${LEFT}" y="16">${escapeText(title)}</text>`,
  ];
  const stepRho = top > 2 ? 0.4 : 0.2;
  for (let rho = 0; rho <= top + 1e-9; rho += stepRho)
    parts.push(
      `<line class="g" x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${round(y(rho))}" y2="${round(y(rho))}"/>`,
      `<text x="${LEFT - 6}" y="${round(y(rho) + 4)}" text-anchor="end">${Math.round(100 * rho)} %</text>`,
    );
  parts.push(
    `<line class="o" x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${round(y(OVERLOAD))}" y2="${round(y(OVERLOAD))}"/>`,
  );
  const tickCount = Math.min(6, count);
  for (let tick = 0; tick < tickCount; tick++) {
    const i = Math.round((tick * (count - 1)) / Math.max(1, tickCount - 1));
    const anchor = tick === 0 ? 'start' : tick === tickCount - 1 ? 'end' : 'middle';
    parts.push(
      `<text x="${round(x(i))}" y="${HEIGHT - 8}" text-anchor="${anchor}">${new Date(startMs + i * stepMs).toISOString().slice(0, 10)}</text>`,
    );
  }
  let legendX = LEFT;
  for (const { name, colour, isDashed, values } of curves) {
    const points = Array.from(values, (rho, i) => `${round(x(i))},${round(y(rho))}`).join(' ');
    parts.push(
      `<polyline class="c${colour}${isDashed ? ' d' : ''}" points="${points}"><title>${escapeText(name)}</title></polyline>`,
      `<rect class="f${colour}" x="${legendX}" y="25" width="14" height="4"/>`,
      `<text x="${legendX + 18}" y="31">${escapeText(name)}</text>`,
    );
    legendX += 34 + 7 * name.length;
  }
  parts.push('</svg>');
  return parts.join('\n');
}

/** The highest of each so many values: what a screen can show of a year of hours. */
export function highestOf(values: Float64Array, perStep: number): Float64Array {
  const highest = new Float64Array(Math.ceil(values.length / perStep));
  values.forEach((value, i) => {
    const step = Math.floor(i / perStep);
    highest[step] = Math.max(highest[step] as number, value);
  });
  return highest;
}

export const escapeText = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
