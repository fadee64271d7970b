/** How settings name a Redis node or an etcd member; as regular expressions, so that the JSON Schema says it as well. */

/** 1 to 65535. */
const PORT = '(?:[1-9]\\d{0,3}|[1-5]\\d{4}|6[0-4]\\d{3}|65[0-4]\\d{2}|655[0-2]\\d|6553[0-5])';

/** `host:port` or `[v6]:port`. */
export const REDIS_ADDRESS = new RegExp(`^(?:\\[[0-9a-fA-F:.]+\\]|[^\\s,:[\\]]+):${PORT}$`);

/** `http://host:port` or `https://host:port`. */
export const ETCD_ENDPOINT = new RegExp(`^https?://[^/\\s,]+:${PORT}$`);
