/** What redis-benchmark and client libraries ask for. Durability is what `appendonly yes` with `appendfsync always` promises. */
const CONFIG_VALUES: readonly (readonly [string, string])[] = [
  ['appendonly', 'yes'],
  ['appendfsync', 'always'],
  ['save', ''],
  ['databases', '1'],
  ['maxmemory', '0'],
  ['maxmemory-policy', 'noeviction'],
];

/** CONFIG GET. @param pattern a glob, in lower case. @returns name and value of what matches. */
export function configValues(pattern: string): readonly (readonly [string, string])[] {
  const source = pattern
    .replace(/[.+^${}()|\\]/g, '\\$&')
    .replaceAll('*', '.*')
    .replaceAll('?', '.');
  let matcher: RegExp;
  try {
    matcher = new RegExp(`^${source}$`);
  } catch {
    return []; // an unclosed [class] matches nothing
  }
  return CONFIG_VALUES.filter(([name]) => matcher.test(name));
}
