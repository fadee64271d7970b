import { parentPort } from 'node:worker_threads';
import { isOwnBug } from './faults.ts';
import { type Answer, type Call, errorAnswer } from './thread-calls.ts';

/** To the thread: a question, or the word that it shall end. */
export type ThreadRequest = Call | 'close';

/** From the thread. */
export type ThreadMessage = Answer | { readonly kind: 'fault'; readonly message: string };

/**
 * A thread that has not closed what it opened by then ends itself. From its own event loop: one that is ended from outside may be
 * inside a commit, whose lock nobody would ever release, and neither that thread nor another process would go on.
 */
const CLOSE_MS_MAX = 2_000;

/** Answers no question: it says whether the thread has started. */
export const STARTED_ID = 0;

export interface RunningThread {
  respond(body: unknown): Promise<unknown>;
  close(): Promise<void>;
}

/**
 * The life of a worker thread of ours: it starts, answers its parent until it is told to close, and reports what is a bug of
 * its own; `ThreadLink` is the parent's end.
 */
export async function runThread(start: () => Promise<RunningThread>): Promise<void> {
  let running: RunningThread;
  try {
    running = await start();
  } catch (error) {
    send(errorAnswer(STARTED_ID, error));
    parentPort?.close();
    return;
  }
  parentPort?.on('message', (request: ThreadRequest) => {
    if (request === 'close') {
      setTimeout(() => process.exit(), CLOSE_MS_MAX).unref();
      running.close().then(() => parentPort?.close(), reportFault);
    } else void answerCall(request, (body) => running.respond(body), send);
  });
  send({ kind: 'reply', id: STARTED_ID, body: null });
}

/** Answers with a reply or an error; an error that is our own bug is reported as well. */
export async function answerCall(
  { id, body }: Call,
  respond: (body: unknown) => Promise<unknown>,
  post: (answer: Answer) => void,
): Promise<void> {
  try {
    post({ kind: 'reply', id, body: await respond(body) });
  } catch (error) {
    post(errorAnswer(id, error));
    if (isOwnBug(error)) reportFault(error);
  }
}

/** Detaches the plugin: see "Faults" in docs/host.md. */
export function reportFault(error: unknown): void {
  const { message, stack } = error instanceof Error ? error : new Error(String(error));
  send({ kind: 'fault', message: stack ?? message });
}

function send(message: ThreadMessage): void {
  parentPort?.postMessage(message);
}
