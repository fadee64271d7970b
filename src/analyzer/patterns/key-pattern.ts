/** A hex run shorter than this is more likely a word (`cafe`, `add`) than an identifier. */
const HEX_RUN_MIN = 8;

const UUID = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/gi;
const TAG = /\{[^}]+(?:\}|$)/;
/** A run of hex digits that has a digit in it and stands alone; what is cut off at the prefix's end counts as an end. */
const HEX_RUN = new RegExp(`(?<![0-9a-z])(?=[a-f]*[0-9])[0-9a-f]{${HEX_RUN_MIN},}(?![0-9a-z])`, 'gi');
const DIGITS = /[0-9]+/g;
const UNPRINTABLE = /[^\x20-\x7e]+/g;
/** In a pattern an asterisk stands for all words of a place: one of the key's own must not. */
const ASTERISK = /\*/g;

/**
 * The shape of a key: what varies from key to key is replaced, the rest is kept.
 *
 * `user:{1234}:cart` and `user:1234:cart` -> `user:{}:cart` and `user:{n}:cart`; UUIDs -> `{uuid}`, long hex runs ->
 * `{hex}`, asterisks and bytes that are no text -> `?`. The tag (what decides the slot) is always replaced, however it looks.
 *
 * @param keyPrefix latin-1, perhaps cut off at its end.
 */
export function keyPattern(keyPrefix: string): string {
  const tag = TAG.exec(keyPrefix);
  if (tag === null) return untaggedPattern(keyPrefix);
  const before = keyPrefix.slice(0, tag.index);
  const after = keyPrefix.slice(tag.index + tag[0].length);
  return `${untaggedPattern(before)}{}${untaggedPattern(after)}`;
}

function untaggedPattern(text: string): string {
  return text
    .replace(UNPRINTABLE, '?')
    .replace(ASTERISK, '?')
    .replace(UUID, '{uuid}')
    .replace(HEX_RUN, '{hex}')
    .replace(DIGITS, '{n}');
}

/** Between the words of a key, and between command and key. */
const SEPARATORS = /([ :/.|])/;

/** `GET user:{n}` -> `GET`, ` `, `user`, `:`, `{n}`: words and separators in turn, as a `WordTree` takes them. */
export const splitKeyWords = (name: string): string[] => name.split(SEPARATORS);
