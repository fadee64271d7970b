/** V8 copies shorter pieces anyway. */
const COPIED_LENGTH = 13;

/**
 * A string with memory of its own, to be kept: a piece that was cut out of a text keeps all of that text alive, such as 64 KiB of a
 * log for the name of one client.
 */
export const ownCopy = (text: string): string => (text.length < COPIED_LENGTH ? text : ` ${text}`.slice(1));
