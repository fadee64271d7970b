#!/usr/bin/env node
import { runCli } from './program.ts';

process.exitCode = await runCli(process.argv.slice(2));
// A parent's channel would keep alive a process that has nothing more to do.
if (process.connected) process.disconnect();
