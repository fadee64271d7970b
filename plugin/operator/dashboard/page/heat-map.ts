import type { Api, Heat } from './api.ts';
import { h, svg } from './dom.ts';
import { count, time } from './format.ts';
import { PALETTE, queriesOf } from './palette.ts';

/** What of all partitions and times is shown. */
export interface HeatView {
  readonly fromMs: number;
  readonly toMs: number;
  readonly first: number;
  readonly last: number;
}

export interface PlannedMove {
  readonly partitionId: number;
  readonly startMs: number;
  readonly label: string;
}

export interface HeatMapOptions {
  readonly api: Api;
  readonly whole: () => HeatView;
  readonly nowMs: () => number;
  readonly moves: () => readonly PlannedMove[];
  readonly onPartition: (partitionId: number) => void;
  readonly onView: (view: HeatView) => void;
}

const ROWS_MAX = 512;
const NOTHING_RECORDED = 255;
/** Of what is shown, at one press of a key. */
const KEY_SHARE = 0.2;
/** Pixels that a hand trembles in a click. */
const CLICK_PIXELS = 4;

const HELP =
  'Drag to zoom, double-click or Escape to zoom out, click for a partition. Keys: arrows, plus, minus.';

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
  readonly #readout = h('p', { class: 'quiet', 'aria-live': 'polite' }, HELP);
  readonly #scale = h('span', {}, '');
  #view: HeatView;
  #heat: Heat | null = null;
  #requested = 0;
  #dragFrom: { x: number; y: number } | null = null;
  /** Milliseconds of the last drawing, for whoever measures. */
  drawMs = 0;

  constructor(options: HeatMapOptions) {
    this.#options = options;
    this.#view = options.whole();
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
    const heat = this.#heat as Heat;
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
    const { column, row, partitionId, atMs } = this.#at(event);
    const level = heat.levels[row * heat.columnCount + column] as number;
    const last = Math.min(this.#view.last, partitionId + heat.partitionsPerRow - 1);
    const who =
      last > partitionId ? `partitions ${partitionId}-${last}, the hottest` : `partition ${partitionId}`;
    const what =
      level === NOTHING_RECORDED ? 'nothing recorded' : `${count(queriesOf(level, heat.queriesMax))} queries`;
    const when = atMs >= this.#options.nowMs() ? 'forecast' : 'measured';
    this.#readout.textContent = `${time(atMs)}: ${who}: ${what}, ${when}`;
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

  #onKey(event: KeyboardEvent): void {
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

  #drawOver(drag: { from: { x: number; y: number }; to: { x: number; y: number } } | null): void {
    const heat = this.#heat as Heat;
    const { clientWidth: width, clientHeight: height } = this.#canvas;
    this.#over.setAttribute('viewBox', `0 0 ${width} ${height}`);
    const endMs = heat.startMs + heat.columnCount * heat.stepMs;
    const x = (ms: number): number => ((ms - heat.startMs) / (endMs - heat.startMs)) * width;
    const y = (partition: number): number =>
      (((partition - heat.first) / heat.partitionsPerRow + 0.5) / heat.rowCount) * height;
    const nowX = x(this.#options.nowMs());
    const isShown = ({ partitionId, startMs }: PlannedMove): boolean =>
      startMs >= heat.startMs &&
      startMs < endMs &&
      partitionId >= this.#view.first &&
      partitionId <= this.#view.last;
    const marks = this.#options
      .moves()
      .filter(isShown)
      .map((move) =>
        svg(
          'g',
          {},
          svg('circle', {
            cx: x(move.startMs),
            cy: y(move.partitionId),
            r: 5,
            fill: 'none',
            stroke: '#000',
            'stroke-width': 4,
          }),
          svg('circle', {
            cx: x(move.startMs),
            cy: y(move.partitionId),
            r: 5,
            fill: 'none',
            stroke: '#fff',
            'stroke-width': 2,
          }),
        ),
      );
    const now =
      nowX > 0 && nowX < width
        ? [
            svg('line', { x1: nowX, x2: nowX, y1: 0, y2: height, stroke: '#000', 'stroke-width': 3 }),
            svg('line', { x1: nowX, x2: nowX, y1: 0, y2: height, stroke: '#fff', 'stroke-width': 1 }),
          ]
        : [];
    this.#over.replaceChildren(...now, ...marks);
    if (drag === null) return;
    const [left, top] = [Math.min(drag.from.x, drag.to.x), Math.min(drag.from.y, drag.to.y)];
    const box = {
      x: left,
      y: top,
      width: Math.abs(drag.to.x - drag.from.x),
      height: Math.abs(drag.to.y - drag.from.y),
    };
    this.#over.append(svg('rect', { ...box, fill: 'rgba(255,255,255,0.25)', stroke: '#fff' }));
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
