import { connect } from 'node:net';

/** A reply, decoded: texts as UTF-8, integers as numbers, nil as null. Errors inside of arrays are `Error` values. */
export type RespValue = string | number | null | Error | RespValue[];

/**
 * Sends one command to a RESP2 server on the loopback, over a connection of its own.
 *
 * For the few orders by which a local cluster is set up and watched; whatever sends many has a client.
 *
 * @throws Error with the server's own text when it answers with an error, or closes before it has answered.
 */
export function sendOnce(port: number, words: readonly (string | number)[]): Promise<RespValue> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1');
    let received = Buffer.alloc(0);
    socket.once('error', reject);
    socket.once('close', () => reject(new Error(`the server at port ${port} closed before it answered`)));
    socket.on('data', (chunk) => {
      received = Buffer.concat([received, chunk]);
      const reply = decode(received, 0);
      if (reply === undefined) return;
      socket.destroy();
      if (reply.value instanceof Error) reject(reply.value);
      else resolve(reply.value);
    });
    const bulks = words.map(String).map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`);
    socket.write(`*${words.length}\r\n${bulks.join('')}`);
  });
}

/** The value that begins at `start`; undefined while it is not whole. */
function decode(bytes: Buffer, start: number): { value: RespValue; end: number } | undefined {
  const lineEnd = bytes.indexOf('\r\n', start);
  if (lineEnd < 0) return undefined;
  const mark = String.fromCharCode(bytes[start]);
  const line = bytes.toString('utf8', start + 1, lineEnd);
  const end = lineEnd + 2;
  if (mark === '+') return { value: line, end };
  if (mark === '-') return { value: new Error(line), end };
  const count = Number(line);
  if (mark === ':') return { value: count, end };
  if (count < 0) return { value: null, end };
  if (mark === '$') {
    if (bytes.length < end + count + 2) return undefined;
    return { value: bytes.toString('utf8', end, end + count), end: end + count + 2 };
  }
  if (mark !== '*') throw new Error(`no RESP2 value begins with ${JSON.stringify(mark)}`);
  const value: RespValue[] = [];
  let offset = end;
  for (let left = count; left > 0; left--) {
    const element = decode(bytes, offset);
    if (element === undefined) return undefined;
    value.push(element.value);
    offset = element.end;
  }
  return { value, end: offset };
}
