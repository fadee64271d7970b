import { realpathSync } from 'node:fs';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { ForeshardError } from '../../src/base/errors.ts';
import type { PluginDefinition } from './plugin.ts';

/** A plugin and where it came from. */
export interface LoadedPlugin extends PluginDefinition {
  /** Absolute; undefined for Foreshard's own. By it a stack tells whose fault a fault is. */
  readonly file?: string | undefined;
}

const METHODS = ['attachQueryNode', 'attachStorageNode'] as const;

/**
 * Loads the modules of `plugin.modules`.
 *
 * @throws ForeshardError FORESHARD_CONFIG naming the module that cannot be loaded or is no plugin.
 */
export async function loadPlugins(modules: readonly string[]): Promise<readonly LoadedPlugin[]> {
  const plugins: LoadedPlugin[] = [];
  for (const module of modules) plugins.push(await loadPlugin(module));
  return plugins;
}

async function loadPlugin(module: string): Promise<LoadedPlugin> {
  let exported: { default?: unknown };
  let file: string | undefined;
  try {
    if (module === 'foreshard') exported = await import('../index.ts');
    else {
      const url = module.startsWith('/') ? pathToFileURL(module).href : import.meta.resolve(module);
      exported = await import(url);
      file = realpathSync(fileURLToPath(url));
    }
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw configError(`plugin.modules: cannot load "${module}": ${why}`, cause);
  }
  const plugin = exported.default as Partial<PluginDefinition> | null | undefined;
  if (typeof plugin?.name !== 'string')
    throw configError(
      `plugin.modules: "${module}" is no plugin: it must export default definePlugin({ name: … })`,
    );
  for (const method of METHODS)
    if (plugin[method] !== undefined && typeof plugin[method] !== 'function')
      throw configError(`plugin.modules: "${module}" is no plugin: ${method} must be a function`);
  return {
    name: plugin.name,
    file,
    // Bound: a plugin may be an instance of a class.
    ...(plugin.attachQueryNode && { attachQueryNode: plugin.attachQueryNode.bind(plugin) }),
    ...(plugin.attachStorageNode && { attachStorageNode: plugin.attachStorageNode.bind(plugin) }),
  };
}

function configError(message: string, cause?: unknown): ForeshardError {
  return new ForeshardError('FORESHARD_CONFIG', 'fix-config', message, { cause });
}
