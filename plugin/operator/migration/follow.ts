/** `foreshard migrations --follow`: what happens to migrations, line by line, until it is interrupted. */
import { setTimeout as delay } from 'node:timers/promises';
import {
  type MigrationEvent,
  type MigrationProgress,
  ProgressStream,
} from '../../../src/migration/progress/progress.ts';
import { printLine } from '../output.ts';
import { endedLine, type MigrationsReport, openLine } from './migrations-report.ts';

/** Phases that pass in less are not told one by one. */
const LOOK_MS = 250;
const TELL_MS = 1_000;

export interface FollowOptions {
  readonly isJson: boolean;
  readonly signal: AbortSignal;
  readonly print?: (line: string) => void;
}

/** @param look what there is now. */
export async function followMigrations(
  look: () => Promise<MigrationsReport>,
  { isJson, signal, print = printLine }: FollowOptions,
): Promise<void> {
  const stream = new ProgressStream(TELL_MS);
  while (!signal.aborted) {
    const { open, ended, atMs } = await look();
    for (const event of stream.eventsOf(open, ended, atMs))
      print(isJson ? JSON.stringify(event) : eventLine(event));
    await delay(LOOK_MS, undefined, { signal }).catch(() => undefined);
  }
}

function eventLine(event: MigrationEvent): string {
  const time = new Date(event.atMs).toISOString().slice(11, 19);
  if (event.kind === 'ended') return endedLine(event.ended);
  const from =
    event.kind === 'phase' && event.fromPhase !== event.progress.phase ? `${event.fromPhase} -> ` : '';
  return `${time} ${openLine(event.progress as MigrationProgress, { from })}`;
}
