import type { HeatMatrix } from '../heat-matrix.ts';
import type { Api } from './api.ts';
import { CellMix } from './cell-mix.ts';
import { h, svg } from './dom.ts';
import { count, time } from './format.ts';
import { movesShown, type Overlay, overlay, type PlannedMove } from './heat-overlay.ts';
import { PALETTE, queriesOf } from './palette.ts';
import type { MixAnswer } from './records.ts';

/** What of all partitions and times is shown. */
export interface HeatView {
  readonly fromMs: number;
  readonly toMs: number;
  readonly first: number;
  readonly last: number;
}

export interface HeatMapOptions {
  readonly api: Api;
  readonly whole: () => HeatView;
  readonly nowMs: () => number;
  readonly moves: () => readonly PlannedMove[];
  /** Who asks these partitions for what. */
  readonly mix: (first: number, last: number) => Promise<MixAnswer>;
  readonly onPartition: (partitionId: number) => void;
  readonly onView: (view: HeatView) => void;
}

const ROWS_MAX = 512;
const NOTHING_RECORDED = 255;
/** Of what is shown, at one press of a key. */
const KEY_SHARE = 0.2;
/** Pixels that a hand trembles in a click. */
const CLICK_PIXELS = 4;

/** Columns and rows by key. */
const STEPS: Readonly<Record<string, readonly [number, number]>> = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
};

const HELP =
  'Drag to zoom, double-click or Escape to zoom out, click for a partition. Keys: arrows, plus, minus; shift and arrows look at cells, Enter opens.';

/**
 * Partitions from top to bottom, time from left to right, load as lightness. What is past was measured, what is to come
 * forecast; the line between them is now, and rings are planned moves.
 */
export class HeatMap {
  readonly element: HTMLElement;
  readonly #options: HeatMapOptions;
  readonly #canvas = h('canvas', {
    tabindex: 0,
    role: 'img',
    'aria-label': `Load by partition and time. ${HELP}`,
  });
  readonly #over = svg('svg', { class: 'over', preserveAspectRatio: 'none', 'aria-hidden': 'true' });
  readonly #readout = h('p', { class: 'quiet', id: 'readout', 'aria-live': 'polite' }, HELP);
  readonly #mixLine = h('p', { class: 'quiet', id: 'mix', 'aria-live': 'polite' });
  readonly #scale = h('span', {}, '');
  readonly #mix: CellMix;
  #view: HeatView;
  #heat: HeatMatrix | null = null;
  #requested = 0;
  #dragFrom: { x: number; y: number } | null = null;
  /** The cell that is looked at by keyboard. */
  #cursor: { row: number; column: number } | null = null;
  /** Milliseconds of the last drawing, for whoever measures. */
  drawMs = 0;

  constructor(options: HeatMapOptions) {
    this.#options = options;
    this.#view = options.whole();
    this.#mix = new CellMix(options.mix);
    const legend = h('canvas', { width: 255, height: 1, 'aria-hidden': 'true' });
    paint(
      legend,
      Uint8Array.from({ length: 255 }, (_, level) => level),
    );
    this.element = h(
      'div',
      {},
      h('div', { class: 'heat' }, this.#canvas, this.#over),
      h('div', { class: 'legend' }, '0', legend, this.#scale),
      this.#readout,
      this.#mixLine,
    );
    this.#canvas.addEventListener('pointerdown', (event) => this.#onDown(event));
    this.#canvas.addEventListener('pointermove', (event) => this.#onMove(event));
    this.#canvas.addEventListener('pointerup', (event) => this.#onUp(event));
    this.#canvas.addEventListener('dblclick', () => void this.show(this.#options.whole()));
    this.#canvas.addEventListener('keydown', (event) => this.#onKey(event));
  }

  /** Asks for a part of the picture and draws it; of several that are asked for at once the last is shown. */
  async show(view: HeatView = this.#view): Promise<void> {
    const turn = ++this.#requested;
    const heat = await this.#options.api.heat({ ...view, rows: ROWS_MAX });
    if (turn !== this.#requested) return;
    this.#view = view;
    this.#heat = heat;
    this.#cursor = null;
    this.#mix.forget();
    const startedMs = performance.now();
    this.#canvas.width = heat.columnCount;
    this.#canvas.height = heat.rowCount;
    paint(this.#canvas, heat.levels);
    this.#drawOver(null);
    this.drawMs = performance.now() - startedMs;
    this.element.dataset.drawMs = this.drawMs.toFixed(1);
    this.#scale.textContent = `${count(heat.queriesMax)} queries a window`;
    this.#options.onView(view);
  }

  /** Partition and time under a point of the canvas. */
  #at({ offsetX, offsetY }: { readonly offsetX: number; readonly offsetY: number }) {
    const heat = this.#heat as HeatMatrix;
    const { clientWidth, clientHeight } = this.#canvas;
    const column = clamp(Math.floor((offsetX / clientWidth) * heat.columnCount), 0, heat.columnCount - 1);
    const row = clamp(Math.floor((offsetY / clientHeight) * heat.rowCount), 0, heat.rowCount - 1);
    return {
      column,
      row,
      partitionId: heat.first + row * heat.partitionsPerRow,
      atMs: heat.startMs + column * heat.stepMs,
    };
  }

  #onDown(event: PointerEvent): void {
    if (this.#heat === null || event.button !== 0) return;
    this.#dragFrom = { x: event.offsetX, y: event.offsetY };
    this.#canvas.setPointerCapture(event.pointerId);
  }

  #onMove(event: PointerEvent): void {
    const heat = this.#heat;
    if (heat === null) return;
    if (this.#dragFrom !== null)
      this.#drawOver({ from: this.#dragFrom, to: { x: event.offsetX, y: event.offsetY } });
    this.#tell(this.#at(event));
  }

  /** What is known of a cell: time, partitions, load, planned moves; then who asks for what. */
  #tell({ row, column }: { readonly row: number; readonly column: number }): void {
    const heat = this.#heat as HeatMatrix;
    const first = heat.first + row * heat.partitionsPerRow;
    const last = Math.min(this.#view.last, first + heat.partitionsPerRow - 1);
    const atMs = heat.startMs + column * heat.stepMs;
    const level = heat.levels[row * heat.columnCount + column] as number;
    const who = last > first ? `partitions ${first}-${last}, the hottest` : `partition ${first}`;
    const what =
      level === NOTHING_RECORDED ? 'nothing recorded' : `${count(queriesOf(level, heat.queriesMax))} queries`;
    const when = atMs >= this.#options.nowMs() ? 'forecast' : 'measured';
    const planned = movesShown(heat, this.#options.moves())
      .filter((move) => move.row === row)
      .map(({ partitionId, label }) => `; partition ${partitionId} is to move ${label}`)
      .join('');
    this.#readout.textContent = `${time(atMs)}: ${who}: ${what}, ${when}${planned}`;
    this.#mixLine.textContent = '';
    this.#mix.show(first, last, (line) => {
      this.#mixLine.textContent = `Asked for: ${line}`;
    });
  }

  #onUp(event: PointerEvent): void {
    const from = this.#dragFrom;
    this.#dragFrom = null;
    if (from === null || this.#heat === null) return;
    const isClick = Math.hypot(event.offsetX - from.x, event.offsetY - from.y) < CLICK_PIXELS;
    if (isClick) {
      this.#options.onPartition(this.#at(event).partitionId);
      return;
    }
    const a = this.#at({
      offsetX: Math.min(from.x, event.offsetX),
      offsetY: Math.min(from.y, event.offsetY),
    });
    const b = this.#at({
      offsetX: Math.max(from.x, event.offsetX),
      offsetY: Math.max(from.y, event.offsetY),
    });
    const last = Math.min(this.#view.last, b.partitionId + this.#heat.partitionsPerRow - 1);
    void this.show({ fromMs: a.atMs, toMs: b.atMs + this.#heat.stepMs, first: a.partitionId, last });
  }

  /** @returns whether the key was one of those that look at cells. */
  #onCursorKey({ key, shiftKey }: KeyboardEvent): boolean {
    const heat = this.#heat;
    if (heat === null) return false;
    if (key === 'Enter' && this.#cursor !== null) {
      this.#options.onPartition(heat.first + this.#cursor.row * heat.partitionsPerRow);
      return true;
    }
    const step = STEPS[key];
    if (!shiftKey || step === undefined) return false;
    const { row, column } = this.#cursor ?? {
      row: Math.floor(heat.rowCount / 2),
      column: Math.floor(heat.columnCount / 2),
    };
    this.#cursor = {
      row: clamp(row + step[1], 0, heat.rowCount - 1),
      column: clamp(column + step[0], 0, heat.columnCount - 1),
    };
    this.#drawOver(null);
    this.#tell(this.#cursor);
    return true;
  }

  #onKey(event: KeyboardEvent): void {
    if (this.#onCursorKey(event)) {
      event.preventDefault();
      return;
    }
    const whole = this.#options.whole();
    const { fromMs, toMs, first, last } = this.#view;
    const step = (toMs - fromMs) * KEY_SHARE;
    const rows = Math.max(1, Math.round((last - first + 1) * KEY_SHARE));
    const shifted = (ms: number, partitions: number): HeatView => {
      const by = clamp(ms, whole.fromMs - fromMs, whole.toMs - toMs);
      const down = clamp(partitions, whole.first - first, whole.last - last);
      return { fromMs: fromMs + by, toMs: toMs + by, first: first + down, last: last + down };
    };
    const zoomed = (sign: number): HeatView => ({
      fromMs: clamp(fromMs + sign * step, whole.fromMs, toMs - 1),
      toMs: clamp(toMs - sign * step, fromMs + 1, whole.toMs),
      first: clamp(first + sign * rows, whole.first, last),
      last: clamp(last - sign * rows, first, whole.last),
    });
    const views: Readonly<Record<string, () => HeatView>> = {
      ArrowLeft: () => shifted(-step, 0),
      ArrowRight: () => shifted(step, 0),
      ArrowUp: () => shifted(0, -rows),
      ArrowDown: () => shifted(0, rows),
      '+': () => zoomed(1),
      '=': () => zoomed(1),
      '-': () => zoomed(-1),
      Escape: () => whole,
    };
    const view = views[event.key];
    if (view === undefined) return;
    event.preventDefault();
    const next = view();
    if (next.last >= next.first && next.toMs > next.fromMs) void this.show(next);
  }

  #drawOver(frame: Overlay['frame']): void {
    const { clientWidth: width, clientHeight: height } = this.#canvas;
    this.#over.setAttribute('viewBox', `0 0 ${width} ${height}`);
    const { nowMs, moves } = this.#options;
    const drawn = { nowMs: nowMs(), moves: moves(), frame, cursor: this.#cursor };
    this.#over.replaceChildren(...overlay(this.#heat as HeatMatrix, { width, height }, drawn));
  }
}

/** One pixel a cell; the browser stretches it. */
function paint(canvas: HTMLCanvasElement, levels: Uint8Array): void {
  if (canvas.width === 0 || canvas.height === 0) return;
  const context = canvas.getContext('2d') as CanvasRenderingContext2D;
  const image = context.createImageData(canvas.width, canvas.height);
  const pixels = new Uint32Array(image.data.buffer);
  for (let i = 0; i < levels.length; i++) pixels[i] = PALETTE[levels[i] as number] as number;
  context.putImageData(image, 0, 0);
}

const clamp = (value: number, low: number, high: number): number => Math.max(low, Math.min(high, value));
