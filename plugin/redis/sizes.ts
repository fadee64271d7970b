/**
 * What commands and replies weigh on the wire, told from what a client library holds: characters count as bytes (of text beyond
 * ASCII that is too little), and the length line and line breaks around each value as 7.
 */
const FRAME_BYTES = 7;
const INTEGER_BYTES = 8;
/** Of one reply so many elements are looked at; a longer one is taken to go on as it began. */
const ELEMENTS_MAX = 256;

export function sizeOfArguments(args: readonly (string | Uint8Array)[]): number {
  let bytes = FRAME_BYTES;
  for (let i = 0; i < args.length; i++) bytes += (args[i] as string).length + FRAME_BYTES;
  return bytes;
}

export function sizeOfReply(reply: unknown): number {
  if (typeof reply === 'string' || reply instanceof Uint8Array) return reply.length + FRAME_BYTES;
  if (typeof reply !== 'object' || reply === null) return INTEGER_BYTES;
  if (Array.isArray(reply)) return FRAME_BYTES + sizeOfElements(reply, reply.length);
  if (reply instanceof Error) return reply.message.length + FRAME_BYTES;
  if (reply instanceof Map || reply instanceof Set)
    return FRAME_BYTES + sizeOfElements([...reply].flat(), reply.size);
  const pairs = Object.entries(reply);
  return FRAME_BYTES + sizeOfElements(pairs.flat(), 2 * pairs.length);
}

function sizeOfElements(elements: readonly unknown[], count: number): number {
  const looked = Math.min(count, ELEMENTS_MAX);
  let bytes = 0;
  for (let i = 0; i < looked; i++) bytes += sizeOfReply(elements[i]);
  return looked === 0 ? 0 : Math.round((bytes * count) / looked);
}
