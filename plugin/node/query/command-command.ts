import { COMMANDS, type CommandSpec, commandByName } from '../../commands/table.ts';
import type { ClientConnection } from './query-client.ts';
import { errorReply, REDIS_VERSION, unknownSubcommand, write, wrongArity } from './replies.ts';

/** Internal commands are nobody's business. */
const PUBLIC_COMMANDS = COMMANDS.filter((spec) => spec.spread !== 'partition');

/** Every client library asks for it as it connects, and it never changes. */
const ALL_COMMANDS = {
  resp2: describeCommands(PUBLIC_COMMANDS, false),
  resp3: describeCommands(PUBLIC_COMMANDS, true),
};

/** COMMAND: what there is, for client libraries that ask as they connect. */
export function commandReply(client: ClientConnection, words: readonly Buffer[]): Buffer {
  const { isResp3 } = client;
  if (words.length === 1) return isResp3 ? ALL_COMMANDS.resp3 : ALL_COMMANDS.resp2;
  const subcommand = words[1].toString('latin1').toUpperCase();
  const named = words.slice(2).map((word) => {
    const spec = commandByName(word.toString('latin1').toUpperCase());
    return spec?.spread === 'partition' ? undefined : spec;
  });
  switch (subcommand) {
    case 'COUNT':
      return words.length === 2
        ? write((writer) => writer.integer(PUBLIC_COMMANDS.length))
        : wrongArity('command|count');
    case 'INFO':
      return describeCommands(words.length === 2 ? PUBLIC_COMMANDS : named, isResp3);
    case 'LIST':
      if (words.length !== 2) return errorReply('ERR syntax error');
      return write((writer) => {
        writer.array(PUBLIC_COMMANDS.length);
        for (const spec of PUBLIC_COMMANDS) writer.bulkText(spec.name.toLowerCase());
      });
    case 'DOCS':
      return documentCommands(words.length === 2 ? PUBLIC_COMMANDS : named, isResp3);
    case 'GETKEYS':
      return commandKeys(words);
    default:
      return unknownSubcommand('COMMAND', words[1]);
  }
}

function describeCommands(specs: readonly (CommandSpec | undefined)[], isResp3: boolean): Buffer {
  return write((writer) => {
    writer.array(specs.length);
    for (const spec of specs) {
      if (spec === undefined) {
        if (isResp3) writer.nil(true);
        else writer.array(-1);
        continue;
      }
      writer.array(10);
      writer.bulkText(spec.name.toLowerCase());
      writer.integer(spec.arity);
      writer.set(spec.flags.length, isResp3);
      for (const flag of spec.flags) writer.simple(flag);
      writer.integer(spec.firstKey);
      writer.integer(spec.lastKey);
      writer.integer(spec.keyStep);
      writer.set(0, isResp3); // access categories
      writer.array(0); // tips
      writer.array(0); // key specifications
      writer.array(0); // subcommands
    }
  });
}

function documentCommands(specs: readonly (CommandSpec | undefined)[], isResp3: boolean): Buffer {
  const known = specs.filter((spec) => spec !== undefined);
  return write((writer) => {
    writer.map(known.length, isResp3);
    for (const spec of known) {
      writer.bulkText(spec.name.toLowerCase());
      writer.map(2, isResp3);
      writer.bulkText('summary');
      writer.bulkText(`${spec.name} as in Redis ${REDIS_VERSION}.`);
      writer.bulkText('since');
      writer.bulkText('1.0.0');
    }
  });
}

function commandKeys(words: readonly Buffer[]): Buffer {
  const spec = words.length > 2 ? commandByName(words[2].toString('latin1').toUpperCase()) : undefined;
  if (spec === undefined) return errorReply('ERR Invalid command specified');
  if (spec.firstKey === 0) return errorReply('ERR The command has no key arguments');
  const keys: Buffer[] = [];
  const last = spec.lastKey < 0 ? words.length - 1 : 2 + spec.lastKey;
  for (let i = 2 + spec.firstKey; i <= last && i < words.length; i += spec.keyStep) keys.push(words[i]);
  return write((writer) => {
    writer.array(keys.length);
    for (const key of keys) writer.bulk(key);
  });
}
