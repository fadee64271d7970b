import { Worker, type WorkerOptions } from 'node:worker_threads';

/**
 * Starts a worker thread from a module beside the caller, in the compiled package and in the TypeScript sources alike.
 *
 * @param module such as `new URL('./analysis-thread.ts', import.meta.url)`. In `dist/` the same name ends in `.js`.
 */
export function startThread(module: URL, options: WorkerOptions): Worker {
  const isCompiled = !import.meta.url.endsWith('.ts');
  if (isCompiled) return new Worker(new URL(module.href.replace(/\.ts$/, '.js')), options);
  // A Node 20 worker does not inherit the hooks that load TypeScript, so it registers them before it loads the module.
  // Resolved here: code of a worker that has no file looks for packages below the working directory.
  const loader = import.meta.resolve('tsx/esm/api');
  const bootstrap = `
    import(${JSON.stringify(loader)}).then(({ register }) => { register(); return import(${JSON.stringify(module.href)}); });
  `;
  return new Worker(bootstrap, { ...options, eval: true });
}
