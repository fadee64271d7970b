/** Under which processes that are no query nodes publish what they have counted: above the ids of query nodes, below 2^48. */
export const CAPTURE_ID_MIN = 10_000;
/** `randomInt` takes no wider range. Two of a thousand processes have the same number once in half a billion starts. */
export const CAPTURE_ID_END = CAPTURE_ID_MIN + 2 ** 47;
