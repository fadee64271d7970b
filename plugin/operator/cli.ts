#!/usr/bin/env node
import { EXIT_FAILURE, runCli } from './program.ts';

// Whoever reads may have seen enough, such as `head`: that is no fault.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit();
  const what = error.code === 'ENOSPC' ? 'no space left' : error.message;
  process.stderr.write(`foreshard: standard output: ${what}\n`);
  process.exit(EXIT_FAILURE);
});
process.exitCode = await runCli(process.argv.slice(2));
// A parent's channel would keep alive a process that has nothing more to do.
if (process.connected) process.disconnect();
