/** A strict reader of Prometheus' text format, version 0.0.4, written from its description, for whoever exports it. */
export interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface Family {
  readonly name: string;
  readonly type: string;
  readonly help: string;
  readonly samples: Sample[];
}

const SUFFIXES: Readonly<Record<string, readonly string[]>> = {
  counter: [''],
  gauge: [''],
  histogram: ['_bucket', '_sum', '_count'],
  summary: ['', '_sum', '_count'],
};
const ESCAPES: Readonly<Record<string, string>> = { '\\\\': '\\', '\\"': '"', '\\n': '\n' };

/** @throws Error naming the line that is wrong. @see https://prometheus.io/docs/instrumenting/exposition_formats/ */
export function parsePrometheus(text: string): ReadonlyMap<string, Family> {
  if (!text.endsWith('\n')) throw new Error('the last line does not end');
  const families = new Map<string, Family>();
  const seen = new Set<string>();
  let helped: { name: string; help: string } | null = null;
  let family: Family | null = null;
  for (const line of text.slice(0, -1).split('\n')) {
    const fail = (why: string): never => {
      throw new Error(`${why}: ${line}`);
    };
    if (line === '') continue;
    const comment = /^# (HELP|TYPE) ([a-zA-Z_:][a-zA-Z0-9_:]*) (.+)$/.exec(line);
    if (comment !== null) {
      const [, kind, name, rest] = comment as unknown as [string, string, string, string];
      if (kind === 'HELP') helped = { name, help: rest };
      else {
        if (families.has(name)) fail('told twice');
        if (SUFFIXES[rest] === undefined) fail('an unknown type');
        family = { name, type: rest, help: helped?.name === name ? helped.help : '', samples: [] };
        families.set(name, family);
      }
      continue;
    }
    const sample = parseSample(line) ?? fail('no sample');
    const suffixes = SUFFIXES[family?.type ?? ''] ?? [];
    if (!suffixes.some((suffix) => sample.name === `${family?.name}${suffix}`)) fail('not of its family');
    const series = `${sample.name}${JSON.stringify(Object.entries(sample.labels).sort())}`;
    if (seen.has(series)) fail('a series told twice');
    seen.add(series);
    family?.samples.push(sample);
  }
  for (const { type, name, samples } of families.values())
    if (type === 'histogram') assertHistogram(name, samples);
  return families;
}

function parseSample(line: string): Sample | null {
  const [, name, , labelText = '', valueText] =
    /^([a-zA-Z_:][a-zA-Z0-9_:]*)(\{(.*)\})? (\S+)$/.exec(line) ?? [];
  if (name === undefined || valueText === undefined) return null;
  const value = valueText.replace(/^([+-])Inf$/, '$1Infinity').replace(/^Nan$/, 'NaN');
  if (valueText !== 'Nan' && Number.isNaN(Number(value))) return null;
  const labels: Record<string, string> = {};
  let rest = labelText;
  while (rest !== '') {
    const [whole, label, raw] =
      /^([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(?:,|$)/.exec(rest) ?? [];
    if (whole === undefined || label === undefined || label in labels) return null;
    labels[label] = (raw as string).replace(/\\["\\n]/g, (mark) => ESCAPES[mark] as string);
    rest = rest.slice(whole.length);
  }
  return { name, labels, value: Number(value) };
}

/** Buckets are cumulated, end in +Inf, and add up to the count. */
function assertHistogram(name: string, samples: readonly Sample[]): void {
  const bySeries = new Map<string, Sample[]>();
  for (const sample of samples) {
    const { le: _edge, ...others } = sample.labels;
    const key = JSON.stringify(others);
    bySeries.set(key, [...(bySeries.get(key) ?? []), sample]);
  }
  for (const [series, own] of bySeries) {
    const buckets = own.filter((sample) => sample.name === `${name}_bucket`);
    const count = own.find((sample) => sample.name === `${name}_count`)?.value;
    const edges = buckets.map(({ labels }) => Number((labels.le ?? '').replace('+Inf', 'Infinity')));
    const isRising = (values: readonly number[], isStrict: boolean): boolean =>
      values.every((value, i) => i === 0 || value > values[i - 1] || (!isStrict && value === values[i - 1]));
    const values = buckets.map(({ value }) => value);
    if (!isRising(edges, true) || edges.at(-1) !== Number.POSITIVE_INFINITY || !isRising(values, false))
      throw new Error(`${name}${series}: its buckets are not a histogram's`);
    if (values.at(-1) !== count) throw new Error(`${name}${series}: its count is not that of its buckets`);
    if (!own.some((sample) => sample.name === `${name}_sum`)) throw new Error(`${name}${series}: no sum`);
  }
}
