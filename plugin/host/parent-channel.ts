import { ForeshardError } from '../../src/base/errors.ts';
import type { ControlBody, ControlReply, ControlRequest } from './control-messages.ts';

/** Sent to a parent process once this one does what it was started for. */
export interface ReadyMessage {
  readonly kind: 'ready';
  readonly [fact: string]: unknown;
}

/** Reports to the parent and answers its control messages, where there is a parent with an IPC channel. */
export function serveParent(control: (body: ControlBody) => Promise<unknown>, ready: ReadyMessage): void {
  if (process.send === undefined) return;
  const send = (message: ReadyMessage | ControlReply): void => {
    // A parent that has gone hears nothing any more; its disconnection ends this process anyway.
    if (process.connected) process.send?.(message, undefined, undefined, () => undefined);
  };
  process.on('message', (message: Partial<ControlRequest> | null) => {
    if (message?.kind !== 'control' || typeof message.id !== 'number' || message.body === undefined) return;
    const { id, body } = message;
    control(body).then(
      (reply) => send({ kind: 'control-reply', id, body: reply }),
      (error: unknown) =>
        send({
          kind: 'control-error',
          id,
          code: error instanceof ForeshardError ? error.code : 'FORESHARD_UNAVAILABLE',
          message: error instanceof Error ? error.message : String(error),
        }),
    );
  });
  send(ready);
}
