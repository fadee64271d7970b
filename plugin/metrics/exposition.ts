import { Counter, Gauge, type Metric, Registry } from 'prom-client';
import { METRICS, type MetricName, type MetricShape } from './catalogue.ts';
import type { Buckets, Labels, Reading } from './reading.ts';

/** What Prometheus is answered with. */
export const METRICS_CONTENT_TYPE: string = Registry.PROMETHEUS_CONTENT_TYPE;

/**
 * Readings in Prometheus' text format. A metric that nobody tells is left out, which is not the same as 0: the registry is made
 * anew each time, since a kept one would go on telling of nodes that have gone.
 */
export async function exposition(readings: readonly Reading[]): Promise<string> {
  const registry = new Registry();
  const byName = new Map<MetricName, Reading[]>();
  for (const reading of readings) {
    // Not known, such as the skill of a forecast that nothing has been compared with yet.
    if (typeof reading.value === 'number' && !Number.isFinite(reading.value)) continue;
    const known = byName.get(reading.name);
    if (known === undefined) byName.set(reading.name, [reading]);
    else known.push(reading);
  }
  for (const [name, own] of byName) addFamily(registry, name, own);
  return registry.metrics();
}

function addFamily(registry: Registry, name: MetricName, readings: readonly Reading[]): void {
  const { type, help, labels }: MetricShape = METRICS[name];
  const options = { name, help, labelNames: [...labels], registers: [registry] };
  if (type === 'histogram') {
    registry.registerMetric(asHistogram(name, help, readings) as unknown as Metric);
    return;
  }
  const family = type === 'counter' ? new Counter(options) : new Gauge(options);
  for (const { labels: own = {}, value } of readings)
    if (typeof value === 'number') family.inc({ ...own }, value);
}

/** The library's own histogram observes one value after the other; these were counted elsewhere. */
function asHistogram(name: string, help: string, readings: readonly Reading[]) {
  const values = readings.flatMap(({ labels = {}, value }) =>
    typeof value === 'number' ? [] : samplesOf(name, labels, value),
  );
  return { name, help, type: 'histogram', get: async () => ({ name, help, type: 'histogram', values }) };
}

function samplesOf(name: string, labels: Labels, { edges, counts, sum }: Buckets) {
  let total = 0;
  const buckets = counts.map((count, bucket) => {
    total += count;
    return {
      metricName: `${name}_bucket`,
      labels: { ...labels, le: edges[bucket] ?? '+Inf' },
      value: total,
    };
  });
  return [
    ...buckets,
    { metricName: `${name}_sum`, labels, value: sum ?? sumByMiddles(edges, counts) },
    { metricName: `${name}_count`, labels, value: total },
  ];
}

function sumByMiddles(edges: readonly number[], counts: readonly number[]): number {
  const last = edges.at(-1) ?? 0;
  return counts.reduce((sum, count, bucket) => {
    const low = bucket === 0 ? 0 : (edges[bucket - 1] as number);
    return sum + (count * (low + (edges[bucket] ?? last))) / 2;
  }, 0);
}
