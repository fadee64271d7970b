/** `foreshard config reload`: what SIGHUP does to a node or an agent, and what came of it. */
import { request } from 'node:http';
import { z } from 'zod';
import { ForeshardError } from '../../src/base/errors.ts';
import type { Settings } from '../../src/settings.ts';
import { RELOAD_OUTCOMES, type ReloadReport } from '../host/config/live-config.ts';
import { printJson, printLine } from './output.ts';

const SOCKET_FILE = 'unix:';
/** A reload waits for a coordinator that leaves its office, and for a node that is still being opened. */
const ANSWER_MS_MAX = 65_000;
const ANSWER_BYTES_MAX = 1 << 20;

const paths = z.array(z.string());
const answerSchema = z.object({
  role: z.string(),
  nodeId: z.union([z.number(), z.string()]),
  outcome: z.enum(RELOAD_OUTCOMES),
  changed: paths,
  needRestart: paths,
  why: z.string().nullable(),
});
type Answer = z.infer<typeof answerSchema> & ReloadReport;

/**
 * Has one process read its config again.
 *
 * @param settings of that process, as they are now: what is wrong with them was found before anybody was asked.
 * @param options.socket where it listens, if that is no longer what the settings say.
 * @returns whether the config is in force.
 * @throws ForeshardError FORESHARD_CONFIG where it cannot be asked, FORESHARD_UNAVAILABLE where nobody answers.
 */
export async function reloadConfig(
  settings: Settings,
  { socket, isJson }: { readonly socket: string | null; readonly isJson: boolean },
): Promise<boolean> {
  if (socket !== null && !/^unix:\/./.test(socket))
    throw new ForeshardError(
      'FORESHARD_CONFIG',
      'fix-config',
      `--socket: found "${socket}", it must be a socket file such as "unix:/run/foreshard/health.sock"`,
    );
  const listen = socket ?? settings.node.healthListen;
  if (listen === null || !listen.startsWith(SOCKET_FILE))
    throw new ForeshardError(
      'FORESHARD_CONFIG',
      'fix-config',
      listen === null
        ? 'node.healthListen is not set, so that the process cannot be asked: set it to unix:/path (and restart), or send the process SIGHUP'
        : `node.healthListen: ${listen} is an address, where nobody authenticates: set it to unix:/path (and restart), or send the process SIGHUP`,
    );
  const answer = await ask(
    listen.slice(SOCKET_FILE.length),
    socket === null ? 'node.healthListen' : '--socket',
  );
  if (isJson) printJson({ ...answer, message: messageOf(answer) });
  else printLine(messageOf(answer));
  return answer.outcome === 'applied' || answer.outcome === 'unchanged';
}

function messageOf({ role, nodeId, outcome, changed, why }: Answer): string {
  const who = `${role}${role === 'agent' ? '' : ' node'} ${nodeId}`;
  if (outcome === 'applied') return `${who}: in force now: ${changed.join(', ')}`;
  if (outcome === 'unchanged') return `${who}: nothing has changed`;
  return `${who}: nothing was taken over: ${why ?? 'its log says why'}`;
}

/** @param namedBy the setting or flag that says where, for the error. */
async function ask(socketPath: string, namedBy: string): Promise<Answer> {
  const body = await post(socketPath, '/reload').catch((cause: Error) => {
    throw new ForeshardError(
      'FORESHARD_UNAVAILABLE',
      'retry',
      `nobody answers at ${socketPath} (${namedBy}): ${cause.message}; is the process running, and its user yours?`,
      { cause },
    );
  });
  const parsed = answerSchema.safeParse(jsonOf(body));
  if (parsed.success) return parsed.data;
  throw new ForeshardError(
    'FORESHARD_UNAVAILABLE',
    'report',
    `what answers at ${socketPath} is no process of this version: ${body.slice(0, 200).trim()}`,
  );
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function post(socketPath: string, path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const asked = request(
      {
        socketPath,
        path,
        method: 'POST',
        timeout: ANSWER_MS_MAX,
        agent: false,
        headers: { 'content-length': 0 },
      },
      (response) => {
        let body = '';
        response.setEncoding('utf8').on('data', (text: string) => {
          body += text;
          if (body.length > ANSWER_BYTES_MAX) asked.destroy(new Error('it says too much'));
        });
        response.once('end', () => resolve(body));
        response.once('error', reject);
      },
    );
    asked.once('timeout', () => asked.destroy(new Error(`no answer within ${ANSWER_MS_MAX} ms`)));
    asked.once('error', reject);
    asked.end();
  });
}
