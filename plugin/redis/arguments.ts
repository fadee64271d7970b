/** What a command may consist of. An application without types can pass anything else: the library converts it, or refuses. */
export type Argument = string | Uint8Array;

export const isSendable = (argument: unknown): argument is Argument =>
  typeof argument === 'string' || argument instanceof Uint8Array;

/** Whether a library can have sent them as they are. */
export const areSendable = (args: unknown): args is readonly Argument[] =>
  Array.isArray(args) && args.every(isSendable);
