import type { AffinityCounts } from '../../model/affinity-matrix.ts';

/** Every count times a weight. */
export const scaled = (counts: AffinityCounts, weight: number): AffinityCounts => ({
  ...counts,
  count: counts.count.map((count) => count * weight),
});

/** The entries at these indexes, with only the names that they use. */
export function picked(counts: AffinityCounts, kept: Uint32Array): AffinityCounts {
  const template = kept.map((entry) => counts.template[entry] as number);
  const client = kept.map((entry) => counts.client[entry] as number);
  // Merging numbers names by their first use; what nobody uses stays behind.
  const templates = usedNames(counts.templates, template);
  const clients = usedNames(counts.clients, client);
  return {
    partitionCount: counts.partitionCount,
    templates: templates.names,
    clients: clients.names,
    template: template.map((index) => templates.indexOf[index] as number),
    partition: kept.map((entry) => counts.partition[entry] as number),
    client: client.map((index) => clients.indexOf[index] as number),
    count: countsAt(counts.count, kept),
  };
}

function countsAt(counts: Float64Array, entries: Uint32Array): Float64Array {
  const picked = new Float64Array(entries.length);
  for (let i = 0; i < picked.length; i++) picked[i] = counts[entries[i] as number] as number;
  return picked;
}

/** Index 0, "other", is always kept. */
function usedNames(
  names: readonly string[],
  used: Uint32Array,
): { readonly names: string[]; readonly indexOf: Uint32Array } {
  const isUsed = new Uint8Array(names.length);
  isUsed[0] = 1;
  for (const index of used) isUsed[index] = 1;
  const indexOf = new Uint32Array(names.length);
  const kept: string[] = [];
  names.forEach((name, index) => {
    if (isUsed[index] === 1) indexOf[index] = kept.push(name) - 1;
  });
  return { names: kept, indexOf };
}
