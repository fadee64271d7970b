import calculateSlot from 'cluster-key-slot';
import { DIGEST_SCRIPT, HAND_OVER_SCRIPT } from '../../plugin/engines/redis-cluster/copy-first/scripts.ts';
import { SLOT_COUNT } from '../../plugin/engines/redis-cluster/server/cluster-nodes.ts';
import {
  type RedisCommand,
  type RedisNode,
  type RedisNodes,
  RedisRefusal,
  type RedisReply,
} from '../../plugin/engines/redis-cluster/server/redis-node.ts';
import { ForeshardError } from '../../src/base/errors.ts';

interface Server {
  readonly nodeId: string;
  readonly port: number;
  readonly keys: Map<string, string>;
  readonly migratingTo: Map<number, string>;
  readonly importingFrom: Map<number, string>;
  /** What this server believes: the id of each slot's owner. */
  readonly ownerOf: string[];
  configEpoch: number;
  /** Another one after each start. */
  runNumber: number;
  /** The next command of the agent may ask for keys of slots that are being imported. */
  isAsking: boolean;
  /** Commands of the agent since MULTI; null without one. */
  queued: RedisCommand[] | null;
}

/** What may happen to the agent between two of its commands. */
export interface Faults {
  /** The agent dies after so many of its commands have been carried out. */
  readonly commandsMax: number;
  /** Its last command, if it is a MIGRATE, has copied its keys and not deleted them when the connection breaks. */
  readonly isMigrateHalfDone: boolean;
  /** Its last command, if it is a hand-over of copies, waits at the server, and is carried out after so many of the next agent's. */
  readonly scriptIsLateBy?: number;
}

/**
 * Servers of a cluster as documented, as far as moves of slots go: what each says of itself, redirects, refusals. Nothing is
 * asynchronous but gossip, which is passed on when asked for. Values are counters.
 */
export class MemoryRedisCluster implements RedisNodes {
  readonly servers: readonly Server[];
  /** Called before each command of the agent: clients get their turn. */
  onTurn: () => void = () => undefined;
  /** Called after each command of the agent, with it. */
  onCommand: (command: RedisCommand) => void = () => undefined;
  faults: Faults = { commandsMax: Number.POSITIVE_INFINITY, isMigrateHalfDone: false };
  /** Bytes of keys, as MEMORY USAGE tells them, where it is not the usual few. */
  readonly sizes = new Map<string, number>();
  /** Whether the agent's user may run scripts. */
  allowsScripts = true;
  allowsTransactions = true;
  /** How often a target has told all others of a slot that it has taken. */
  broadcastCount = 0;
  /** Carried out for the agent so far. */
  commandCount = 0;
  /** What all servers take the time to be. */
  nowMs = 1_000_000;
  #late: { readonly atCount: number; readonly carryOut: () => void } | null = null;

  constructor(masterCount: number) {
    const ids = Array.from({ length: masterCount }, (_, index) => String(index).repeat(40));
    this.servers = ids.map((nodeId, index) => ({
      nodeId,
      port: 7_000 + index,
      keys: new Map(),
      migratingTo: new Map(),
      importingFrom: new Map(),
      ownerOf: Array.from(
        { length: SLOT_COUNT },
        (_, slot) => ids[Math.floor((slot * masterCount) / SLOT_COUNT)] as string,
      ),
      configEpoch: index + 1,
      runNumber: 1,
      isAsking: false,
      queued: null,
    }));
  }

  node(nodeId: string): RedisNode {
    const server = this.#byId(nodeId);
    return {
      pipeline: async (commands) => commands.map((command) => this.#agentCommand(server, command)),
      close: () => undefined,
    };
  }

  /** A cluster client that does as redirects say. @returns the counter after it; null if it was sent around, and gave up. */
  increment(key: string): number | null {
    return this.#asClient(key, (server) => {
      const value = Number(server.keys.get(key) ?? 0) + 1;
      server.keys.set(key, String(value));
      return value;
    });
  }

  /** As `increment`. @returns how many keys were deleted. */
  delete(key: string): number | null {
    return this.#asClient(key, (server) => Number(server.keys.delete(key)));
  }

  #asClient(key: string, serve: (server: Server) => number): number | null {
    const slot = calculateSlot(key);
    let server = this.#byId((this.servers[0] as Server).ownerOf[slot] as string);
    let isAsking = false;
    for (let redirects = 0; redirects < 20; redirects++) {
      const here = server;
      const reply = this.#keyed(server, slot, key, isAsking, () => serve(here));
      if (typeof reply === 'number') return reply;
      const [kind, , to] = (reply as RedisRefusal).message.split(' ');
      isAsking = kind === 'ASK';
      server = this.#byId(to as string);
    }
    return null;
  }

  /** The servers that hold a key, in whatever state its slot is. */
  copiesOf(key: string): readonly { readonly nodeId: string; readonly value: string }[] {
    return this.servers.flatMap(({ nodeId, keys }) => {
      const value = keys.get(key);
      return value === undefined ? [] : [{ nodeId, value }];
    });
  }

  /** Owners with the highest epoch convince the others. */
  gossip(): void {
    for (let slot = 0; slot < SLOT_COUNT; slot++) {
      const claims = this.servers.filter((server) => server.ownerOf[slot] === server.nodeId);
      const winner = claims.sort((a, b) => b.configEpoch - a.configEpoch)[0];
      if (winner === undefined) continue;
      for (const server of this.servers) {
        // What is being imported is changed by commands alone.
        if (server.importingFrom.has(slot)) continue;
        server.ownerOf[slot] = winner.nodeId;
        if (server !== winner) server.migratingTo.delete(slot);
      }
    }
  }

  /** A server comes back with what it had saved; its config file, with open slots, is always up to date. */
  restart(server: Server, saved: ReadonlyMap<string, string>): void {
    server.runNumber++;
    server.keys.clear();
    for (const [key, value] of saved) server.keys.set(key, value);
  }

  slotOf(key: string): number {
    return calculateSlot(key);
  }

  #byId(nodeId: string): Server {
    const found = this.servers.find((server) => server.nodeId === nodeId);
    if (found === undefined) throw new Error(`no server ${nodeId}`);
    return found;
  }

  #agentCommand(server: Server, command: RedisCommand): RedisReply {
    const { commandsMax, isMigrateHalfDone } = this.faults;
    if (this.commandCount >= commandsMax) {
      // What its connection has begun, and not ended, is nothing.
      for (const one of this.servers) one.queued = null;
      throw dead();
    }
    this.onTurn();
    this.commandCount++;
    if (this.#late !== null && this.commandCount >= this.#late.atCount) {
      this.#late.carryOut();
      this.#late = null;
    }
    const isLast = this.commandCount >= commandsMax;
    const lateBy = this.faults.scriptIsLateBy;
    if (isLast && lateBy !== undefined && command[1] === HAND_OVER_SCRIPT) {
      this.#late = {
        atCount: this.commandCount + lateBy,
        carryOut: () => this.#script(server, command.slice(1).map(String), false),
      };
      throw dead();
    }
    const reply = this.#run(server, command, { isHalfDone: isLast && isMigrateHalfDone });
    this.onCommand(command);
    return reply;
  }

  #run(
    server: Server,
    command: RedisCommand,
    { isHalfDone = false }: { readonly isHalfDone?: boolean },
  ): RedisReply {
    const [name, ...rest] = command.map(String) as [string, ...string[]];
    if (server.queued !== null && name !== 'EXEC') {
      server.queued.push(command);
      return Buffer.from('QUEUED');
    }
    const { isAsking } = server;
    server.isAsking = name === 'ASKING';
    switch (name) {
      case 'MULTI':
        if (!this.allowsTransactions)
          return new RedisRefusal("NOPERM User agent has no permissions to run the 'multi' command");
        server.queued = [];
        return Buffer.from('OK');
      case 'EXEC': {
        if (server.queued === null) return new RedisRefusal('ERR EXEC without MULTI');
        const { queued } = server;
        server.queued = null;
        return queued.map((one) => this.#run(server, one, { isHalfDone }));
      }
      case 'EVAL':
      case 'EVAL_RO':
        return rest[0]?.includes('MEMORY') ? this.#largeKeys(rest) : this.#script(server, rest, isAsking);
      case 'UNLINK':
        return this.#keyed(server, calculateSlot(rest[0] as string), rest[0] as string, isAsking, () =>
          Number(server.keys.delete(rest[0] as string)),
        );
      case 'TIME':
        return [String(Math.floor(this.nowMs / 1000)), String((this.nowMs % 1000) * 1000)].map((part) =>
          Buffer.from(part),
        );
      case 'CLUSTER':
        return this.#cluster(server, rest as [string, ...string[]]);
      case 'MIGRATE':
        return this.#migrate(server, rest, isHalfDone);
      case 'MEMORY':
        return server.keys.has(rest[1] as string) ? (this.sizes.get(rest[1] as string) ?? 60) : null;
      case 'TYPE':
        // One that is not sampled.
        return this.#goneOr(server, rest[0] as string, () => Buffer.from('stream'));
      case 'DUMP':
        return this.#goneOr(server, rest[0] as string, (value) => Buffer.from(value));
      case 'EXISTS':
        return this.#goneOr(server, rest[0] as string, () => 1) ?? 0;
      case 'XLEN':
        return 1;
      case 'ASKING':
        return Buffer.from('OK');
      case 'INFO':
        return Buffer.from(
          `run_id:${server.runNumber}\r\nrole:master\r\nconnected_slaves:0\r\nmaster_repl_offset:1\r\n`,
        );
      case 'PING':
        return Buffer.from('PONG');
      default:
        throw new Error(`the model knows no ${name}`);
    }
  }

  /** The one script that the agent sends: keys above so many bytes, by their number, each with its size. */
  #largeKeys([, keyCount, ...words]: readonly string[]): RedisReply {
    if (!this.allowsScripts)
      return new RedisRefusal("NOPERM User agent has no permissions to run the 'eval_ro' command");
    const bytesMax = Number(words[Number(keyCount)]);
    return words.slice(0, Number(keyCount)).flatMap((key, index) => {
      const bytes = this.sizes.get(key) ?? 60;
      return bytes > bytesMax ? [index + 1, bytes] : [];
    });
  }

  #cluster(server: Server, [verb, ...rest]: [string, ...string[]]): RedisReply {
    const slot = Number(rest[0]);
    switch (verb) {
      case 'NODES':
        return Buffer.from(this.#nodesText(server));
      case 'COUNTKEYSINSLOT':
        return this.#keysIn(server, slot).length;
      case 'GETKEYSINSLOT':
        return this.#keysIn(server, slot)
          .slice(0, Number(rest[1]))
          .map((key) => Buffer.from(key));
      case 'SETSLOT':
        return this.#setSlot(server, slot, rest[1] as string, rest[2] ?? '');
      case 'MIGRATION':
      case 'GETSLOTMIGRATIONS':
        return new RedisRefusal(`ERR unknown subcommand '${verb}'. Try CLUSTER HELP.`);
      default:
        throw new Error(`the model knows no CLUSTER ${verb}`);
    }
  }

  #setSlot(server: Server, slot: number, kind: string, nodeId: string): RedisReply {
    const isOwner = server.ownerOf[slot] === server.nodeId;
    if (kind === 'MIGRATING') {
      if (!isOwner) return new RedisRefusal(`ERR I'm not the owner of hash slot ${slot}`);
      server.migratingTo.set(slot, nodeId);
    } else if (kind === 'IMPORTING') {
      if (isOwner) return new RedisRefusal(`ERR I'm already the owner of hash slot ${slot}`);
      server.importingFrom.set(slot, nodeId);
    } else if (kind === 'STABLE') {
      server.migratingTo.delete(slot);
      server.importingFrom.delete(slot);
    } else {
      if (isOwner && nodeId !== server.nodeId && this.#keysIn(server, slot).length > 0)
        return new RedisRefusal(
          `ERR Can't assign hashslot ${slot} to a different node while I still hold keys for this hash slot.`,
        );
      if (this.#keysIn(server, slot).length === 0) server.migratingTo.delete(slot);
      if (nodeId === server.nodeId && server.importingFrom.delete(slot)) {
        this.broadcastCount++;
        server.configEpoch = Math.max(...this.servers.map(({ configEpoch }) => configEpoch)) + 1;
      }
      server.ownerOf[slot] = nodeId;
    }
    return Buffer.from('OK');
  }

  #migrate(server: Server, values: readonly string[], isHalfDone: boolean): RedisReply {
    const target = this.servers.find(({ port }) => port === Number(values[1])) as Server;
    const options = values.slice(0, values.indexOf('KEYS'));
    const isReplacing = options.includes('REPLACE');
    const isCopying = options.includes('COPY');
    const keys = values.slice(values.indexOf('KEYS') + 1).filter((key) => server.keys.has(key));
    if (keys.length === 0) return Buffer.from('NOKEY');
    let isBusy = false;
    for (const key of keys) {
      const slot = calculateSlot(key);
      if (!target.importingFrom.has(slot) && target.ownerOf[slot] !== target.nodeId)
        return new RedisRefusal('ERR Target instance replied with error: MOVED');
      if (target.keys.has(key) && !isReplacing) {
        isBusy = true;
        continue;
      }
      target.keys.set(key, server.keys.get(key) as string);
      if (!isHalfDone && !isCopying) server.keys.delete(key);
    }
    if (isHalfDone) throw dead();
    return isBusy
      ? new RedisRefusal('ERR Target instance replied with error: BUSYKEY Target key name already exists.')
      : Buffer.from('OK');
  }

  /** What scripts.ts says in Lua. A value is its own digest. */
  #script(server: Server, [text, count, ...values]: readonly string[], isAsking: boolean): RedisReply {
    if (!this.allowsScripts) return new RedisRefusal('NOPERM User agent has no permissions to run scripts');
    const keys = values.slice(0, Number(count));
    const away = keys.find((key) => !this.#serves(server, key, isAsking));
    if (away !== undefined) return new RedisRefusal(`MOVED ${calculateSlot(away)}`);
    if (isAsking && keys.length > 1 && keys.some((key) => !server.keys.has(key)))
      return new RedisRefusal('TRYAGAIN Multiple keys request during rehashing of slot');
    if (text === DIGEST_SCRIPT)
      return keys.flatMap((key) => {
        const value = server.keys.get(key);
        return [Buffer.from(value ?? ''), value === undefined ? -2 : -1, value?.length ?? 0];
      });
    if (text !== HAND_OVER_SCRIPT) throw new Error('the model knows no such script');
    const [slot, targetId, deadlineMs, ...digests] = values.slice(keys.length);
    if (this.nowMs > Number(deadlineMs)) return new RedisRefusal('ERR this hand-over came too late');
    const changed = keys.flatMap((key, i) => (server.keys.get(key) === digests[2 * i] ? [] : [i + 1]));
    if (changed.length > 0) return [-1, ...changed];
    const opened = this.#setSlot(server, Number(slot), 'MIGRATING', targetId as string);
    if (opened instanceof RedisRefusal) return opened;
    for (const key of keys) server.keys.delete(key);
    return [this.#keysIn(server, Number(slot)).length];
  }

  #serves(server: Server, key: string, isAsking: boolean): boolean {
    const slot = calculateSlot(key);
    return server.ownerOf[slot] === server.nodeId || (isAsking && server.importingFrom.has(slot));
  }

  /** @see https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/ (MOVED and ASK) */
  #keyed(
    server: Server,
    slot: number,
    key: string,
    isAsking: boolean,
    serve: () => number,
  ): number | RedisRefusal {
    if (server.ownerOf[slot] === server.nodeId) {
      const to = server.migratingTo.get(slot);
      return to === undefined || server.keys.has(key) ? serve() : new RedisRefusal(`ASK ${slot} ${to}`);
    }
    if (isAsking && server.importingFrom.has(slot)) return serve();
    return new RedisRefusal(`MOVED ${slot} ${server.ownerOf[slot]}`);
  }

  /** A key that is not there: nil, but ASK where its slot is migrating. */
  #goneOr(server: Server, key: string, there: (value: string) => Buffer | number): RedisReply {
    const value = server.keys.get(key);
    if (value !== undefined) return there(value);
    const slot = calculateSlot(key);
    const to = server.migratingTo.get(slot);
    return to === undefined ? null : new RedisRefusal(`ASK ${slot} ${to}`);
  }

  #keysIn(server: Server, slot: number): string[] {
    return [...server.keys.keys()].filter((key) => calculateSlot(key) === slot);
  }

  #nodesText(server: Server): string {
    return this.servers
      .map((other) => {
        const ranges = rangesOf(server.ownerOf, other.nodeId);
        const open =
          other === server
            ? [
                ...[...server.migratingTo].map(([slot, to]) => `[${slot}->-${to}]`),
                ...[...server.importingFrom].map(([slot, from]) => `[${slot}-<-${from}]`),
              ]
            : [];
        const flags = other === server ? 'myself,master' : 'master';
        return [
          other.nodeId,
          `127.0.0.1:${other.port}@1${other.port}`,
          flags,
          '- 0 0',
          other.configEpoch,
          'connected',
          ...ranges,
          ...open,
        ].join(' ');
      })
      .join('\n');
  }
}

function rangesOf(ownerOf: readonly string[], nodeId: string): string[] {
  const ranges: string[] = [];
  for (let slot = 0; slot < ownerOf.length; slot++) {
    if (ownerOf[slot] !== nodeId) continue;
    const first = slot;
    while (ownerOf[slot + 1] === nodeId) slot++;
    ranges.push(first === slot ? String(first) : `${first}-${slot}`);
  }
  return ranges;
}

const dead = (): ForeshardError =>
  new ForeshardError('FORESHARD_UNAVAILABLE', 'retry', 'the agent was killed');

/** 24 keys by slot: of the first four slots that their tags meet at node 0 of three. */
export function keysOfFourSlots(): Map<number, string[]> {
  const keysOf = new Map<number, string[]>();
  for (let n = 0; [...keysOf.values()].flat().length < 24; n++) {
    const key = `{tag${n % 50}}${n}`;
    const slot = calculateSlot(key);
    if (slot < 5_461 && (keysOf.has(slot) || keysOf.size < 4))
      keysOf.set(slot, [...(keysOf.get(slot) ?? []), key]);
  }
  return keysOf;
}
