/**
 * Cividis: even steps of lightness, alike to eyes that tell red from green and to those that do not.
 *
 * @see Nuñez, Anderton & Renslow, "Optimizing colormaps with consideration for color vision deficiency", PLOS ONE 2018
 */
const ANCHORS = [
  [0, 34, 78],
  [26, 56, 111],
  [64, 77, 108],
  [87, 98, 111],
  [108, 118, 118],
  [130, 139, 121],
  [155, 160, 118],
  [181, 182, 108],
  [209, 206, 92],
  [238, 231, 69],
  [255, 234, 70],
] as const;

/** What level 255 is drawn as: nobody recorded anything. */
const NOTHING = [128, 128, 128] as const;

/** u32[level], bytes in the order of ImageData on every machine that browsers run on. */
export const PALETTE: Uint32Array = (() => {
  const colours = new Uint32Array(256);
  const bytes = new Uint8ClampedArray(colours.buffer);
  for (let level = 0; level < 256; level++) {
    const at = (Math.min(level, 254) / 254) * (ANCHORS.length - 1);
    const low = ANCHORS[Math.floor(at)] as readonly number[];
    const high = ANCHORS[Math.ceil(at)] as readonly number[];
    for (let channel = 0; channel < 3; channel++) {
      const mixed =
        (low[channel] as number) + (at % 1) * ((high[channel] as number) - (low[channel] as number));
      bytes[level * 4 + channel] = level === 255 ? (NOTHING[channel] as number) : mixed;
    }
    bytes[level * 4 + 3] = 255;
  }
  return colours;
})();

/** Queries a window behind a level; the scale is a logarithm's. */
export const queriesOf = (level: number, queriesMax: number): number =>
  Math.expm1((level / 254) * Math.log1p(queriesMax));
