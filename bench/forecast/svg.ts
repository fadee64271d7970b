/** As much of SVG as two plots need: every shape is a string, coordinates are pixels from the upper left corner. */

export interface Point {
  readonly x: number;
  readonly y: number;
}

const short = (value: number): string => String(Math.round(value * 10) / 10);

const pathOf = (points: readonly Point[]): string =>
  points.map(({ x, y }, index) => `${index === 0 ? 'M' : 'L'}${short(x)} ${short(y)}`).join('');

export const line = (points: readonly Point[], style: string): string =>
  `<path d="${pathOf(points)}" fill="none" ${style}/>`;

/** The area between two lines that run from left to right. */
export const band = (upper: readonly Point[], lower: readonly Point[], style: string): string =>
  `<path d="${pathOf([...upper, ...lower.toReversed()])}Z" stroke="none" ${style}/>`;

export const rectangle = (x: number, y: number, width: number, height: number, style: string): string =>
  `<rect x="${short(x)}" y="${short(y)}" width="${short(width)}" height="${short(height)}" ${style}/>`;

export const text = (x: number, y: number, content: string, style = ''): string =>
  `<text x="${short(x)}" y="${short(y)}" ${style}>${content.replaceAll('&', '&amp;').replaceAll('<', '&lt;')}</text>`;

/** A white page, so that dark themes do not swallow the lines. */
export const page = (
  { width, height, title }: { readonly width: number; readonly height: number; readonly title: string },
  shapes: readonly string[],
): string =>
  [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="12" role="img">`,
    `<title>${title}</title>`,
    rectangle(0, 0, width, height, 'fill="#fff"'),
    text(16, 22, title, 'font-size="14" font-weight="bold"'),
    ...shapes,
    '</svg>',
    '',
  ].join('\n');
