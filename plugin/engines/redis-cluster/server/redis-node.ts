/** One server of a Redis Cluster or Valkey, as the agent talks to it: commands go out in one write, replies come back in order. */

/** Keys may be any bytes. */
export type RedisCommand = readonly (string | number | Buffer)[];

/** An error reply of the server: it has read the command and refused it. */
export class RedisRefusal extends Error {
  override readonly name = 'RedisRefusal';

  /** The first word, such as `BUSYKEY`, `IOERR`, `MOVED`, `ERR`. */
  get code(): string {
    return this.message.split(' ', 1)[0] as string;
  }
}

/** Bulk and simple strings are Buffers; nothing is decoded, since what was asked for may be a key or a value. */
export type RedisReply = Buffer | number | null | RedisRefusal | readonly RedisReply[];

export interface RedisNode {
  /**
   * Sends all commands in one write.
   *
   * @returns one reply for each, refusals among them.
   * @throws ForeshardError FORESHARD_UNAVAILABLE when the connection failed or nothing came for too long: any command may
   *   or may not have been carried out.
   */
  pipeline(commands: readonly RedisCommand[]): Promise<readonly RedisReply[]>;
  close(): void;
}

/** Hands out a connection to a server by its id; one each, made when it is first needed. */
export interface RedisNodes {
  /** @throws ForeshardError FORESHARD_UNAVAILABLE for a node of which no address is known. */
  node(nodeId: string): RedisNode;
}

/** @throws RedisRefusal what the server answered, if it refused. */
export function accepted(reply: RedisReply | undefined): Exclude<RedisReply, RedisRefusal> {
  if (reply === undefined) throw new RedisRefusal('ERR no reply');
  if (reply instanceof RedisRefusal) throw reply;
  return reply;
}

export const textOf = (reply: RedisReply | undefined): string => {
  const value = accepted(reply);
  return Buffer.isBuffer(value) ? value.toString('latin1') : String(value);
};

/** What a text reply says, or another text where the server refused: a key that has gone from an open slot answers ASK. */
export const textOr = (reply: RedisReply | undefined, otherwise: string): string =>
  reply instanceof RedisRefusal ? otherwise : textOf(reply);

export const numberOf = (reply: RedisReply | undefined): number => {
  const value = accepted(reply);
  return typeof value === 'number' ? value : Number(textOf(value));
};

/** A list of bulk strings, such as keys. */
export function buffersOf(reply: RedisReply | undefined): readonly Buffer[] {
  const value = accepted(reply);
  return Array.isArray(value) ? value.filter((entry): entry is Buffer => Buffer.isBuffer(entry)) : [];
}
