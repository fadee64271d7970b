import { COMMANDS } from '../../../commands/table.ts';
import type { EncodedKey } from '../physical-key.ts';
import type { CommandHandler } from './command-context.ts';
import { HASH_COMMANDS } from './hashes.ts';
import { KEY_COMMANDS } from './keys.ts';
import { scanCommands } from './scan.ts';
import { STRING_COMMANDS } from './strings.ts';

/** What a storage node does for each command index; null where the query node answers by itself. */
export interface Dispatch {
  readonly handlers: readonly (CommandHandler | null)[];
  /** u8[command]: runs in the write transaction. */
  readonly isWrite: Uint8Array;
  /** u8[command]: needs room, so it is refused when the disk is full; what only removes is not. */
  readonly isGrowing: Uint8Array;
}

export function buildDispatch(
  rangeOf: (partitionId: number) => { start: EncodedKey; end: EncodedKey },
): Dispatch {
  const byName = { ...STRING_COMMANDS, ...KEY_COMMANDS, ...HASH_COMMANDS, ...scanCommands(rangeOf) };
  return {
    handlers: COMMANDS.map((spec) => byName[spec.name] ?? null),
    isWrite: Uint8Array.from(COMMANDS, (spec) => (spec.isWrite ? 1 : 0)),
    isGrowing: Uint8Array.from(COMMANDS, (spec) => (spec.flags.includes('denyoom') ? 1 : 0)),
  };
}
