import { ForeshardError } from '../../../../src/base/errors.ts';

export const SLOT_COUNT = 16_384;

/** A slot that is on its way, as the node says that was asked: nodes tell of their own open slots only. */
export interface OpenSlot {
  readonly slot: number;
  readonly kind: 'migrating' | 'importing';
  /** Migrating: to whom. Importing: from whom. */
  readonly peerId: string;
}

/** A line of CLUSTER NODES. */
export interface NodeView {
  readonly nodeId: string;
  readonly host: string;
  readonly port: number;
  /** Of its cluster bus; null where it is not told. */
  readonly busPort: number | null;
  readonly isMyself: boolean;
  readonly role: 'master' | 'replica';
  /** Of a replica. */
  readonly masterId: string | null;
  /** `fail`: most masters agree; `pfail`: the node asked cannot reach it. */
  readonly health: 'ok' | 'pfail' | 'fail';
  /** It is not a member yet, or has no address. */
  readonly isJoining: boolean;
  readonly configEpoch: number;
  readonly isLinked: boolean;
  /** It was sent a PING, and has not answered yet. */
  readonly isPinged: boolean;
  /** First and last of each range. */
  readonly slots: readonly (readonly [first: number, last: number])[];
  readonly openSlots: readonly OpenSlot[];
}

/**
 * Reads a reply of CLUSTER NODES.
 *
 * @param askedHost the address that the reply came from: a node may not know its own.
 * @throws ForeshardError FORESHARD_CORRUPT naming the line.
 * @see https://redis.io/docs/latest/commands/cluster-nodes/ (serialization format)
 */
export function parseClusterNodes(text: string, askedHost: string): readonly NodeView[] {
  return text
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line) => parseLine(line, askedHost));
}

function parseLine(line: string, askedHost: string): NodeView {
  const fields = line.trim().split(' ');
  const [nodeId, address, flagList, masterId, pingSentMs, , epoch, link, ...slotFields] = fields as [
    string,
    ...string[],
  ];
  if (fields.length < 8 || !/^[0-9a-f]{40}$/.test(nodeId)) throw corrupt(line);
  // `ip:port@cport[,hostname[,key=value…]]`; an IPv6 address has colons of its own.
  const found = /^(.*):(\d+)(?:@(\d+))?(?:,([^,]*).*)?$/.exec(address as string);
  if (found === null) throw corrupt(line);
  const flags = new Set((flagList as string).split(','));
  const isMyself = flags.has('myself');
  const host = found[1] === '' ? (found[4] ?? '') : (found[1] as string);
  return {
    nodeId,
    host: host === '' && isMyself ? askedHost : host,
    port: Number(found[2]),
    busPort: found[3] === undefined ? null : Number(found[3]),
    isMyself,
    role: flags.has('master') ? 'master' : 'replica',
    masterId: masterId === '-' ? null : (masterId as string),
    health: flags.has('fail') ? 'fail' : flags.has('fail?') ? 'pfail' : 'ok',
    isJoining: flags.has('handshake') || flags.has('noaddr'),
    configEpoch: Number(epoch),
    isLinked: link === 'connected',
    isPinged: pingSentMs !== '0',
    slots: slotFields.filter((field) => !field.startsWith('[')).map((field) => parseRange(field, line)),
    openSlots: slotFields.filter((field) => field.startsWith('[')).map((field) => parseOpenSlot(field, line)),
  };
}

function parseRange(field: string, line: string): readonly [number, number] {
  const [first, last = first] = field.split('-').map(Number) as [number, number?];
  if (!(first >= 0 && last >= first && last < SLOT_COUNT)) throw corrupt(line);
  return [first, last];
}

/** `[77->-ID]` migrates to ID, `[93-<-ID]` comes from it. */
function parseOpenSlot(field: string, line: string): OpenSlot {
  const found = /^\[(\d+)-(>|<)-([0-9a-f]{40})\]$/.exec(field);
  if (found === null) throw corrupt(line);
  return {
    slot: Number(found[1]),
    kind: found[2] === '>' ? 'migrating' : 'importing',
    peerId: found[3] as string,
  };
}

const corrupt = (line: string): ForeshardError =>
  new ForeshardError('FORESHARD_CORRUPT', 'report', `CLUSTER NODES: this line cannot be read: ${line}`);
