/** Elements without a framework. Text is always set as text: what comes from the cluster is never markup. */

type Child = Node | string | null;
type Attributes = Readonly<Record<string, string | number | boolean | ((event: Event) => void)>>;

export function h<Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag,
  attributes: Attributes = {},
  ...children: readonly Child[]
): HTMLElementTagNameMap[Tag] {
  const element = document.createElement(tag);
  apply(element, attributes);
  for (const child of children) if (child !== null) element.append(child);
  return element;
}

const SVG = 'http://www.w3.org/2000/svg';

export function svg(tag: string, attributes: Attributes = {}, ...children: readonly Child[]): SVGElement {
  const element = document.createElementNS(SVG, tag) as SVGElement;
  apply(element, attributes);
  for (const child of children) if (child !== null) element.append(child);
  return element;
}

function apply(element: Element, attributes: Attributes): void {
  for (const [name, value] of Object.entries(attributes))
    if (typeof value === 'function') element.addEventListener(name, value);
    else if (typeof value === 'boolean') element.toggleAttribute(name, value);
    else element.setAttribute(name, String(value));
}

export const button = (label: string, onClick: () => void, kind = ''): HTMLElement =>
  h('button', { type: 'button', click: onClick, ...(kind === '' ? {} : { class: kind }) }, label);

export const byId = (id: string): HTMLElement => document.getElementById(id) as HTMLElement;

/** @param columns the heads; those that end in `#` hold numbers. */
export function table(columns: readonly string[], rows: readonly (readonly Child[])[]): HTMLElement {
  const isNumber = columns.map((name) => name.endsWith('#'));
  const kind = (i: number): Attributes => (isNumber[i] ? { class: 'number' } : {});
  return h(
    'div',
    // What scrolls has to be reached by keyboard as well.
    { class: 'scroll', tabindex: 0, role: 'region', 'aria-label': columns[0]?.replace('#', '') ?? 'table' },
    h(
      'table',
      {},
      h(
        'thead',
        {},
        h(
          'tr',
          {},
          ...columns.map((name, i) => h('th', { scope: 'col', ...kind(i) }, name.replace('#', ''))),
        ),
      ),
      h('tbody', {}, ...rows.map((cells) => h('tr', {}, ...cells.map((cell, i) => h('td', kind(i), cell))))),
    ),
  );
}
