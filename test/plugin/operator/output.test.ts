/** Text that others wrote can neither forge a line nor command the terminal. */
import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { auditLine } from '../../../plugin/operator/migration/audit-command.ts';
import { printJson, printLine, printLines } from '../../../plugin/operator/output.ts';
import { runCli } from '../../../plugin/operator/program.ts';
import type { AuditRecord } from '../../../src/migration/records/records.ts';

const test = suite('what commands print');
const ESC = '\u001b';
const NASTY = `x): done: ok\n2026-01-01T00:00:00.000Z root: rollback: done: forged${ESC}[2K\r\u009b1A\u2028\u2029\ud800\u007f`;

/** What is written to either stream while `act` runs. */
async function written(act: () => unknown): Promise<{ stdout: string; stderr: string }> {
  const told = { stdout: '', stderr: '' };
  const streams = ['stdout', 'stderr'] as const;
  const before = streams.map((name) => process[name].write);
  for (const name of streams)
    process[name].write = ((text: string) => {
      told[name] += text;
      return true;
    }) as typeof process.stdout.write;
  try {
    await act();
  } finally {
    for (const [i, name] of streams.entries()) process[name].write = before[i] as typeof process.stdout.write;
  }
  return told;
}

test('a record of the audit is one line, whatever its text', async () => {
  const record = { atMs: 0, by: NASTY, action: 'cancel', partitionId: 1, outcome: 'done' };
  const line = auditLine({ ...record, reason: NASTY, message: NASTY } as unknown as AuditRecord);
  const { stdout } = await written(() => printLine(line));
  check.match(stdout, /^[^\p{Cc}\p{Cs}\u2028\u2029]+\n$/u);
  check.match(stdout, 'forged\\u001b[2K\\u000d\\u009b1A\\u2028\\u2029\\ud800\\u007f');
});

test('JSON means what it did, and what is meant for people keeps its letters and its own lines', async () => {
  const { stdout } = await written(() => printJson({ reason: NASTY }));
  check.equal(JSON.parse(stdout), { reason: NASTY });
  check.not.match(stdout.replaceAll('\n', ''), /[\p{Cc}\p{Cs}\u2028\u2029]/u);
  check.is((await written(() => printLines('größer → 数 🙂\n  next'))).stdout, 'größer → 数 🙂\n  next\n');
});

/** Every command that changes something of the cluster. */
const ORDERS = [
  ...[
    'cancel 1',
    'rollback 1',
    'pause',
    'resume',
    'approve 1',
    'reject 1',
    'drain 1',
    'undrain 1',
    'remove 1',
  ],
  ...['takeover 1 --from s --to 1', 'retire --store s', 'resync --confirm', 'quarantine --clear 1'],
];

for (const args of ORDERS) {
  const refusalOf = async (...reason: string[]): Promise<string> => {
    let exitCode = 0;
    const { stderr } = await written(async () => {
      exitCode = await runCli([...args.split(' '), '--config', '/no/such.yaml', ...reason]);
    });
    check.is(exitCode, 2);
    return stderr;
  };

  test(`${args}: a reason with control characters, or of blanks, is refused`, async () => {
    for (const bad of ['a\nb', `${ESC}[1A`, 'a\u2028b'])
      check.match(await refusalOf('--reason', bad), /^foreshard: --reason: no line breaks [^\p{Cc}]*\n$/u);
    check.match(await refusalOf('--reason', '  '), /^foreshard: --reason: say why/);
  });
}

test.run();
