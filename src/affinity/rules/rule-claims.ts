import type { Inconsistency } from '../../base/claims.ts';
import type { RuleSettings } from '../settings.ts';
import { ruleConflict } from './rule-conflicts.ts';
import { assertRuleNames, type RuleGround, type RuleSet } from './rule-set.ts';

type Entry = Readonly<Record<string, unknown>>;

const isListOf = (value: unknown, isItem: (item: unknown) => boolean): boolean =>
  Array.isArray(value) && value.length > 0 && value.every(isItem);
const isIndex = (value: unknown): boolean => Number.isInteger(value) && (value as number) >= 0;
const isText = (value: unknown): boolean => typeof value === 'string' && value !== '';

/** Fields of each kind of rule, besides `partitions`: what they have to be, and whether they may be left out. */
const FIELDS: Readonly<Record<keyof RuleSet, Readonly<Record<string, (value: unknown) => boolean>>>> = {
  pinned: { 'node?': isIndex },
  forbidden: { nodes: (value) => isListOf(value, isIndex) },
  zones: { zones: (value) => isListOf(value, isText) },
  apart: { 'zonesMin?': (value) => isIndex(value) && (value as number) >= 1 },
  together: {},
};

/** What of the rules in a config file is not a rule, paths from `rules` on. Entries may be anything. */
export function ruleInconsistencies(rules: RuleSettings): Inconsistency[] {
  const found: Inconsistency[] = [];
  for (const [kind, fields] of Object.entries(FIELDS) as [keyof RuleSet, (typeof FIELDS)[keyof RuleSet]][]) {
    const list: readonly unknown[] = rules[kind];
    if (list.every((entry) => isRule(entry, fields))) continue;
    const names = ['partitions', ...Object.keys(fields)].join(', ');
    found.push({
      path: `rules.${kind}`,
      expected: `a list of { ${names} } with partitions as a list of ids, the other fields as docs/affinity.md says`,
    });
  }
  if (!rules.nodeZones.every((zone: unknown) => typeof zone === 'string'))
    found.push({ path: 'rules.nodeZones', expected: 'a list of names, one for each storage node' });
  return found;
}

function isRule(entry: unknown, fields: Readonly<Record<string, (value: unknown) => boolean>>): boolean {
  if (typeof entry !== 'object' || entry === null) return false;
  const { partitions, ...others } = entry as Entry;
  const names = Object.keys(fields).map((name) => name.replace('?', ''));
  return (
    isListOf(partitions, isIndex) &&
    Object.keys(others).every((name) => names.includes(name)) &&
    Object.entries(fields).every(([name, isRight]) => {
      const value = others[name.replace('?', '')];
      return value === undefined ? name.endsWith('?') : isRight(value);
    })
  );
}

/**
 * What of well-formed rules cannot hold in a cluster of this size: found when it is loaded, and not in the first planning
 * cycle. A partition pinned to where it is can conflict only with where that is, which a config file does not know.
 */
export function clusterInconsistencies(
  rules: RuleSettings,
  cluster: { readonly partitionCount: number; readonly storageNodeCount: number },
): Inconsistency[] {
  const { nodeZones, ...all } = rules;
  const { partitionCount, storageNodeCount: nodeCount } = cluster;
  const ground: RuleGround = {
    partitionCount,
    nodeCount,
    home: new Int32Array(partitionCount),
    bytes: new Float64Array(partitionCount),
    nodeZones: Array.from({ length: nodeCount }, (_, n) => nodeZones[n] ?? ''),
    partitionName: (p) => `partition ${p}`,
    nodeName: (n) => `node ${n}`,
  };
  try {
    assertRuleNames(all, ground);
  } catch (error) {
    return [{ path: 'rules', expected: `about what is there: ${(error as Error).message}` }];
  }
  const stated = { ...all, pinned: all.pinned.filter(({ node }) => node !== undefined) };
  const conflict = ruleConflict(stated, ground);
  return conflict === null ? [] : [{ path: 'rules', expected: `without contradiction: ${conflict}` }];
}
