/** What is drawn over the heat map: now, planned moves, the frame of a zoom, the cell that is looked at. */
import type { HeatMatrix } from '../heat-matrix.ts';
import { svg } from './dom.ts';

export interface PlannedMove {
  readonly partitionId: number;
  readonly startMs: number;
  readonly label: string;
}

export interface Point {
  readonly x: number;
  readonly y: number;
}

export interface Overlay {
  readonly nowMs: number;
  readonly moves: readonly PlannedMove[];
  /** Corners, pixels of the canvas. */
  readonly frame: { readonly from: Point; readonly to: Point } | null;
  readonly cursor: { readonly row: number; readonly column: number } | null;
}

/** @param size of the canvas as it is shown, pixels. */
export function overlay(
  heat: HeatMatrix,
  size: { readonly width: number; readonly height: number },
  { nowMs, moves, frame, cursor }: Overlay,
): SVGElement[] {
  const { width, height } = size;
  const x = (ms: number): number => ((ms - heat.startMs) / (heat.columnCount * heat.stepMs)) * width;
  const nowX = x(nowMs);
  const rings = movesShown(heat, moves).flatMap(({ startMs, row }) =>
    outlined(
      'circle',
      { cx: x(startMs), cy: ((row + 0.5) / heat.rowCount) * height, r: 5, fill: 'none' },
      [4, 2],
    ),
  );
  const now =
    nowX > 0 && nowX < width ? outlined('line', { x1: nowX, x2: nowX, y1: 0, y2: height }, [3, 1]) : [];
  return [
    ...now,
    ...rings,
    ...(cursor === null ? [] : cursorMarks(heat, size, cursor)),
    ...(frame === null ? [] : [frameMark(frame)]),
  ];
}

/** The moves in the picture, with the rows they are in. */
export function movesShown(
  heat: HeatMatrix,
  moves: readonly PlannedMove[],
): readonly (PlannedMove & { readonly row: number })[] {
  const endMs = heat.startMs + heat.columnCount * heat.stepMs;
  return moves
    .map((move) => ({ ...move, row: Math.floor((move.partitionId - heat.first) / heat.partitionsPerRow) }))
    .filter(
      ({ row, startMs }) => startMs >= heat.startMs && startMs < endMs && row >= 0 && row < heat.rowCount,
    );
}

function cursorMarks(
  heat: HeatMatrix,
  { width, height }: { readonly width: number; readonly height: number },
  { row, column }: { readonly row: number; readonly column: number },
): SVGElement[] {
  const [w, h] = [width / heat.columnCount, height / heat.rowCount];
  const box = {
    x: column * w - 2,
    y: row * h - 2,
    width: Math.max(w, 3) + 4,
    height: Math.max(h, 3) + 4,
    fill: 'none',
  };
  return outlined('rect', box, [4, 2]);
}

function frameMark({ from, to }: { readonly from: Point; readonly to: Point }): SVGElement {
  return svg('rect', {
    x: Math.min(from.x, to.x),
    y: Math.min(from.y, to.y),
    width: Math.abs(to.x - from.x),
    height: Math.abs(to.y - from.y),
    fill: 'rgba(255,255,255,0.25)',
    stroke: '#fff',
  });
}

/** White on black: seen on every colour of the map. */
const outlined = (
  tag: string,
  shape: Readonly<Record<string, string | number>>,
  [black, white]: readonly [number, number],
): SVGElement[] => [
  svg(tag, { ...shape, stroke: '#000', 'stroke-width': black }),
  svg(tag, { ...shape, stroke: '#fff', 'stroke-width': white }),
];
