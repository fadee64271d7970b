const LENGTH_MAX = 40;

/** A piece of somebody else's file for a message: as it stands, but short, since it may be anything. */
export const quoted = (value: unknown): string => {
  const text = typeof value === 'string' ? value : (JSON.stringify(value) ?? String(value));
  return JSON.stringify(text.length > LENGTH_MAX ? `${text.slice(0, LENGTH_MAX)}…` : text);
};
