import type { Command } from 'commander';
import { ForeshardError } from '../../../src/base/errors.ts';
import { kernelMemory } from '../../../src/kernel-memory.ts';
import type { Settings } from '../../../src/settings.ts';
import { RpcStorageEngine } from '../../engines/migration-agent/rpc-storage-engine.ts';
import { withMetadata } from '../cluster-metadata.ts';
import { type CommonFlags, settingsOf, withConfig, withJson } from '../flags.ts';
import { withNodes } from '../operator-transport.ts';
import { printJson, printLine } from '../output.ts';
import { readForming } from '../status/forming.ts';
import { gatherStatus } from '../status/gather-status.ts';
import { EXIT_ALARMS } from '../status/status-command.ts';
import { judgeCluster } from './cluster.ts';
import { judgeFiles, judgePorts } from './files.ts';
import { type Finding, findingLines, ok, warn } from './findings.ts';
import { judgeMachine } from './machine.ts';
import { readMachine } from './read-machine.ts';
import { lookAtRedis } from './redis.ts';

export function addDoctorCommand(program: Command, exitWith: (code: number) => void): void {
  withJson(withConfig(program.command('doctor')))
    .description(
      'look for what would keep a node, or the cluster, from working; exit code 3 if something is wrong',
    )
    .action(async (flags: CommonFlags) => {
      const { file, settings } = await settingsOf(flags);
      const findings = [
        ok('config', file ?? 'defaults: there is no config file in this folder'),
        ...judgeMachine(readMachine(), {
          kernelThreads: settings.analyzer.kernelThreads,
          kernelMemoryBytes: kernelMemory(settings).total,
          clientConnectionsMax: settings.node.clientConnectionsMax,
        }),
        ...judgeFiles(settings),
        ...(await judgePorts(settings)),
        ...(settings.redis.nodes.length > 0 ? await lookAtRedis(settings.redis) : []),
        ...(await lookAtCluster(settings)),
      ];
      if (flags.json === true) printJson({ findings });
      else for (const line of findingLines(findings)) printLine(line);
      if (findings.some(({ verdict }) => verdict === 'fail')) exitWith(EXIT_ALARMS);
    });
}

/** A cluster that is not there yet is nothing wrong: this is asked before the first start as well. */
async function lookAtCluster(settings: Settings): Promise<Finding[]> {
  const findings: Finding[] = [];
  try {
    await withMetadata(settings, async (metadata) => {
      const forming = await readForming(metadata, settings);
      if (forming !== null) {
        const [awaited = ''] = forming.alarms;
        findings.push(warn('cluster', `not formed yet: ${awaited}`, 'fine before the first start'));
        return;
      }
      await withNodes(settings, metadata, async (transport) => {
        const engine = new RpcStorageEngine(transport);
        findings.push(...judgeCluster(await gatherStatus(metadata, engine, { settings, nowMs: Date.now() })));
      });
    });
  } catch (error) {
    if (!(error instanceof ForeshardError)) throw error;
    const first = settings.redis.nodes.length > 0 ? 'agent' : 'node';
    findings.push(warn('cluster', error.message, `fine before the first ${first} has been started`));
  }
  return findings;
}
