import {
  type CompiledRules,
  compileRules,
  type RuleGround,
  type RuleSet,
} from '../../../src/affinity/rules/rule-set.ts';
import { parseMoveWindows, WINDOW_FORMAT } from '../../../src/affinity/timetable/windows.ts';
import type { InstanceNames } from './instance-names.ts';
import type { PlanInstanceFile } from './instance-schema.ts';

/**
 * Turns the rules of a file, by number, into those of the planner.
 *
 * @throws ForeshardError FORESHARD_CONFIG for rules that cannot all hold.
 */
export function instanceRules(
  { nodes, partitions }: PlanInstanceFile,
  rules: RuleSet,
  ground: Required<Pick<RuleGround, 'bytes' | 'home' | 'isTarget' | 'hasRoom'>>,
): CompiledRules {
  return compileRules(rules, {
    ...ground,
    partitionCount: partitions.length,
    nodeCount: nodes.length,
    nodeZones: nodes.map(({ zone }) => zone ?? ''),
    partitionName: (p) => `"${partitions[p]?.id}"`,
    nodeName: (n) => `"${nodes[n]?.id}"`,
  });
}

/** The rules of a file with the numbers of what they name; names that there are not are noted. */
export function namedRules({ nodes, rules = {} }: PlanInstanceFile, names: InstanceNames): RuleSet {
  const indexed = <Rule extends { readonly partitions: readonly string[] }>(
    kind: keyof RuleSet,
    list: readonly Rule[] = [],
  ) =>
    list.map((rule, i) => ({
      ...rule,
      partitions: rule.partitions.map((id) => names.partition(id, `rules.${kind}[${i}].partitions`)),
    }));
  return {
    pinned: indexed('pinned', rules.pinned).map(({ partitions: own, node: id }, i) => ({
      partitions: own,
      ...(id === undefined ? {} : { node: names.node(id, `rules.pinned[${i}].node`) }),
    })),
    forbidden: indexed('forbidden', rules.forbidden).map((rule, i) => ({
      ...rule,
      nodes: rule.nodes.map((id) => names.node(id, `rules.forbidden[${i}].nodes`)),
    })),
    zones: indexed('zones', rules.zones).map((rule, i) => {
      const unknown = rule.zones.find((name) => !nodes.some(({ zone }) => zone === name));
      if (unknown !== undefined)
        names.note(`rules.zones[${i}].zones names "${unknown}", the zone of no node`);
      return rule;
    }),
    apart: indexed('apart', rules.apart).map(({ partitions: own, zonesMin }) => ({
      partitions: own,
      ...(zonesMin === undefined ? {} : { zonesMin }),
    })),
    together: indexed('together', rules.together),
  };
}

/** Notes windows that are none, or that no clock goes with. */
export function lookAtWindows({ startTime, rules = {} }: PlanInstanceFile, names: InstanceNames): void {
  const { windows = [] } = rules;
  if (startTime === undefined && rules.windows !== undefined)
    names.note('rules.windows are times of the week: state startTime, when slot 0 begins');
  windows.forEach((window, i) => {
    try {
      parseMoveWindows([window]);
    } catch {
      names.note(`rules.windows[${i}] is ${JSON.stringify(window)}, and must be such as ${WINDOW_FORMAT}`);
    }
  });
}
