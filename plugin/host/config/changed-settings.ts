import { isDeepStrictEqual } from 'node:util';
import type { Settings } from '../../../src/settings.ts';
import type { Tree } from './config-messages.ts';

/** Settings whose values differ, as paths such as `affinity.relief.margin`, in the order of the settings. */
export function changedSettings(before: Settings, after: Settings): string[] {
  return differing(before as unknown as Tree, after as unknown as Tree, '');
}

function differing(before: Tree, after: Tree, path: string): string[] {
  return Object.keys({ ...before, ...after }).flatMap((key) => {
    const [a, b] = [before[key], after[key]];
    if (isBranch(a) && isBranch(b)) return differing(a, b, `${path}${key}.`);
    return isDeepStrictEqual(a, b) ? [] : [`${path}${key}`];
  });
}

const isBranch = (value: unknown): value is Tree =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/**
 * What a node takes over while it runs: how moves are planned and carried out. All else is built into what is open: sockets,
 * stores, the ring, the history of forecasts.
 */
const RELOADABLE = ['affinity.', 'controller.', 'migration.', 'plugin.mode', 'node.logLevel'] as const;
/** The query path holds it, not the plugin's threads. */
const NOT_RELOADABLE: ReadonlySet<string> = new Set(['migration.shadowReadShare']);

/** Of settings that have changed, those that a running node cannot take over. */
export const needingRestart = (changed: readonly string[]): string[] =>
  changed.filter(
    (path) => NOT_RELOADABLE.has(path) || !RELOADABLE.some((beginning) => path.startsWith(beginning)),
  );
