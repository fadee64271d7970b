import { assert } from '../../base/assert.ts';
import { OTHER_TEMPLATE, type Template, type TemplateKind } from './templates.ts';

/** What is known of one template; rows number them. */
export interface TemplateRow {
  readonly row: number;
  readonly id: string;
  readonly kind: TemplateKind | null;
  readonly text: string;
  /** Queries, each counted whole, and weighted by age in the units of `ForwardDecay`. */
  count: number;
  weight: number;
  writeCount: number;
  bytes: number;
  latencyMsSum: number;
  latencyMsMax: number;
  /** Queries whose latency is known. */
  latencyCount: number;
}

/** Row of all templates that are not told apart. */
export const OTHER_ROW = 0;

/**
 * Numbers templates, at most so many at a time. Where one more comes, the least frequent quarter goes to "(other)", so that a
 * frequent one that comes late is still told apart; their numbers are given to others, which `onMoved` has to be told first.
 */
export class TemplateRows {
  readonly #rowsMax: number;
  readonly #onMoved: (targetOf: (row: number) => number) => void;
  readonly #rowOf = new Map<string, TemplateRow>();
  readonly #other = newRow(OTHER_ROW, null, OTHER_TEMPLATE);
  #free: number[] = [];
  #nextRow = 1;
  #evictedCount = 0;

  /** @param rowsMax besides "(other)". @param onMoved whatever else is kept by row is to be moved likewise. */
  constructor(rowsMax: number, onMoved: (targetOf: (row: number) => number) => void) {
    assert(rowsMax >= 4, 'a quarter of the rows is at least one');
    this.#rowsMax = rowsMax;
    this.#onMoved = onMoved;
  }

  get other(): TemplateRow {
    return this.#other;
  }

  /** Besides "(other)". */
  get rows(): Iterable<TemplateRow> {
    return this.#rowOf.values();
  }

  /** "(other)" among them. */
  get all(): TemplateRow[] {
    return [this.#other, ...this.#rowOf.values()];
  }

  get size(): number {
    return this.#rowOf.size;
  }

  /** How often a template was given up; the same one may have been more than once. */
  get evictedCount(): number {
    return this.#evictedCount;
  }

  rowOf(kind: TemplateKind, template: Template): TemplateRow {
    if (template.id === OTHER_TEMPLATE.id) return this.#other;
    const known = this.#rowOf.get(template.id);
    if (known !== undefined) return known;
    if (this.#rowOf.size >= this.#rowsMax) this.#evict();
    const row = newRow(this.#free.pop() ?? this.#nextRow++, kind, template);
    this.#rowOf.set(template.id, row);
    return row;
  }

  /** @param resolve what a template is now; several may have become one. */
  resolve(resolve: (kind: TemplateKind, template: Template) => Template): ReadonlyMap<string, string> {
    const moved = new Map<number, number>();
    const renamed = new Map<string, string>();
    for (const row of [...this.#rowOf.values()]) {
      const template = resolve(row.kind as TemplateKind, row);
      if (template.id === row.id) continue;
      renamed.set(row.id, template.id);
      this.#rowOf.delete(row.id);
      const target = this.#rowOf.get(template.id);
      if (target === undefined)
        this.#rowOf.set(template.id, { ...row, id: template.id, text: template.text });
      else {
        addRow(target, row);
        moved.set(row.row, target.row);
      }
    }
    this.#giveUp(moved);
    return renamed;
  }

  rescale(factor: number): void {
    for (const row of this.all) row.weight *= factor;
  }

  #evict(): void {
    const smallest = [...this.#rowOf.values()]
      .sort((a, b) => a.weight - b.weight || (a.id < b.id ? -1 : 1))
      .slice(0, Math.ceil(this.#rowsMax / 4));
    for (const row of smallest) {
      this.#rowOf.delete(row.id);
      addRow(this.#other, row);
    }
    this.#evictedCount += smallest.length;
    this.#giveUp(new Map(smallest.map(({ row }) => [row, OTHER_ROW])));
  }

  #giveUp(moved: ReadonlyMap<number, number>): void {
    if (moved.size === 0) return;
    this.#onMoved((row) => moved.get(row) ?? row);
    this.#free.push(...moved.keys());
  }
}

const newRow = (row: number, kind: TemplateKind | null, template: Template): TemplateRow => ({
  row,
  kind,
  id: template.id,
  text: template.text,
  count: 0,
  weight: 0,
  writeCount: 0,
  bytes: 0,
  latencyMsSum: 0,
  latencyMsMax: 0,
  latencyCount: 0,
});

function addRow(target: TemplateRow, source: TemplateRow): void {
  target.count += source.count;
  target.weight += source.weight;
  target.writeCount += source.writeCount;
  target.bytes += source.bytes;
  target.latencyMsSum += source.latencyMsSum;
  target.latencyMsMax = Math.max(target.latencyMsMax, source.latencyMsMax);
  target.latencyCount += source.latencyCount;
}
