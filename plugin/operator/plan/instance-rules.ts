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
 * Turns the rules of a file into those of the planner.
 *
 * @throws ForeshardError FORESHARD_CONFIG for unknown names and rules that cannot all hold.
 */
export function instanceRules(
  content: PlanInstanceFile,
  names: InstanceNames,
  ground: Required<Pick<RuleGround, 'bytes' | 'home' | 'isTarget' | 'hasRoom'>>,
): CompiledRules {
  const { nodes, partitions } = content;
  return compileRules(ruleSet(content, names), {
    ...ground,
    partitionCount: partitions.length,
    nodeCount: nodes.length,
    nodeZones: nodes.map(({ zone }) => zone ?? ''),
    partitionName: (p) => `"${partitions[p]?.id}"`,
    nodeName: (n) => `"${nodes[n]?.id}"`,
  });
}

function ruleSet({ nodes, rules = {} }: PlanInstanceFile, names: InstanceNames): RuleSet {
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
        throw names.mistake(`rules.zones[${i}].zones names "${unknown}", the zone of no node`);
      return rule;
    }),
    apart: indexed('apart', rules.apart).map(({ partitions: own, zonesMin }) => ({
      partitions: own,
      ...(zonesMin === undefined ? {} : { zonesMin }),
    })),
    together: indexed('together', rules.together),
  };
}

/** @throws ForeshardError FORESHARD_CONFIG for windows that are none, or that no clock goes with. */
export function assertWindows({ startTime, rules = {} }: PlanInstanceFile, names: InstanceNames): void {
  const { windows = [] } = rules;
  if (startTime === undefined && rules.windows !== undefined)
    throw names.mistake('rules.windows are times of the week: state startTime, when slot 0 begins');
  windows.forEach((window, i) => {
    try {
      parseMoveWindows([window]);
    } catch {
      throw names.mistake(
        `rules.windows[${i}] is ${JSON.stringify(window)}, and must be such as ${WINDOW_FORMAT}`,
      );
    }
  });
}
