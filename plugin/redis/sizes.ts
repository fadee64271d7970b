import { isSendable } from './arguments.ts';

/**
 * What commands and replies weigh on the wire, told from what a client library holds: characters count as bytes (of text beyond
 * ASCII that is too little), and the length line and line breaks around each value as 7.
 */
const FRAME_BYTES = 7;
const INTEGER_BYTES = 8;
/** Of one reply so many elements are looked at; a longer one is taken to go on as it began. */
const ELEMENTS_MAX = 256;

/** @param args what is neither text nor bytes counts for nothing: the library converts or refuses it. */
export function sizeOfArguments(args: readonly unknown[]): number {
  let bytes = FRAME_BYTES;
  for (let i = 0; i < args.length; i++) {
    const argument = args[i];
    bytes += (isSendable(argument) ? argument.length : 0) + FRAME_BYTES;
  }
  return bytes;
}

/** Replies of a million elements are sized in the application's thread: no copy is made of them, and few elements are read. */
export function sizeOfReply(reply: unknown): number {
  if (typeof reply === 'string' || reply instanceof Uint8Array) return reply.length + FRAME_BYTES;
  if (typeof reply !== 'object' || reply === null) return INTEGER_BYTES;
  if (Array.isArray(reply)) return FRAME_BYTES + sizeOfElements(reply, reply.length);
  if (reply instanceof Error) return reply.message.length + FRAME_BYTES;
  if (reply instanceof Set) return FRAME_BYTES + sizeOfElements(reply, reply.size);
  if (reply instanceof Map) return FRAME_BYTES + sizeOfElements(reply, reply.size, sizeOfPair);
  // An object has no size: its names have to be listed for it, which takes a fraction of what the library took to put them there.
  const names = Object.keys(reply);
  const fields = reply as Readonly<Record<string, unknown>>;
  return (
    FRAME_BYTES + sizeOfElements(names, names.length, (name) => sizeOfReply(name) + sizeOfReply(fields[name]))
  );
}

const sizeOfPair = ([name, value]: readonly [unknown, unknown]): number =>
  sizeOfReply(name) + sizeOfReply(value);

function sizeOfElements<T>(
  elements: Iterable<T>,
  count: number,
  sizeOf: (element: T) => number = sizeOfReply,
): number {
  let looked = 0;
  let bytes = 0;
  for (const element of elements) {
    bytes += sizeOf(element);
    if (++looked === ELEMENTS_MAX) break;
  }
  return looked === 0 ? 0 : Math.round((bytes * count) / looked);
}
