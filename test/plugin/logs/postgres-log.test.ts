import { suite } from 'uvu';
import * as check from 'uvu/assert';
import type { LogRecord } from '../../../plugin/logs/log-record.ts';
import { readLog } from '../../../plugin/logs/read-log.ts';

const test = suite('PostgreSQL csvlog as a server writes it');

/**
 * Lines that PostgreSQL 15 wrote for psql, and for a driver that takes a result in portions, with log_min_duration_statement = 0,
 * then with log_statement = 'all' and log_duration.
 */
const EXCERPT = String.raw`2026-11-22 22:57:49.219 CET,,,13850,,6b03655d.361a,2,,2026-11-22 22:57:49 CET,,0,LOG,00000,"starting PostgreSQL 15.18 (Debian 15.18-0+deb12u1) on x86_64-pc-linux-gnu, compiled by gcc (Debian 12.2.0-14+deb12u1) 12.2.0, 64-bit",,,,,,,,,"","postmaster",,0
2026-11-22 22:57:49.306 CET,"postgres","postgres",13859,"127.0.0.1:43908",6b03655d.3623,2,"authentication",2026-11-22 22:57:49 CET,3/1,0,LOG,00000,"connection authorized: user=postgres database=postgres application_name=psql",,,,,,,,,"","client backend",,0
2026-11-22 22:57:49.313 CET,"postgres","postgres",13859,"127.0.0.1:43908",6b03655d.3623,3,"SELECT",2026-11-22 22:57:49 CET,3/0,0,LOG,00000,"duration: 2.295 ms  statement: SELECT 1,

  ""id"" FROM users -- ""odd

WHERE id = 7",,,,,,,,,"my ""app"", v1","client backend",,0
2026-11-22 22:57:49.324 CET,"postgres","postgres",13861,"[local]",6b03655d.3625,3,"SELECT",2026-11-22 22:57:49 CET,3/4,0,ERROR,22012,"division by zero",,,,,,"SELECT 1/0",,,"psql","client backend",,0
2026-11-22 22:57:49.344 CET,"postgres","postgres",13861,"[local]",6b03655d.3625,5,"SELECT",2026-11-22 22:57:49 CET,3/6,0,ERROR,57014,"canceling statement due to statement timeout",,,,,,"SELECT pg_sleep(2)",,,"psql","client backend",,0
2026-11-22 22:57:49.356 CET,"postgres","postgres",13864,"[local]",6b03655d.3628,10,"PREPARE",2026-11-22 22:57:49 CET,3/0,0,LOG,00000,"duration: 0.154 ms  statement: PREPARE byid(int) AS SELECT name
 FROM users WHERE id = $1;",,,,,,,,,"psql","client backend",,0
2026-11-22 22:57:49.357 CET,"postgres","postgres",13864,"[local]",6b03655d.3628,11,"EXECUTE",2026-11-22 22:57:49 CET,3/0,0,LOG,00000,"duration: 0.205 ms  statement: EXECUTE byid(7);","prepare: PREPARE byid(int) AS SELECT name
 FROM users WHERE id = $1;",,,,,,,,"psql","client backend",,0
2026-11-22 22:57:49.828 CET,"postgres","postgres",13866,"127.0.0.1:43940",6b03655d.362a,4,"PARSE",2026-11-22 22:57:49 CET,3/12,0,LOG,00000,"duration: 0.439 ms  parse S_1: SELECT * FROM users WHERE id < $1",,,,,,,,,"raw","client backend",,0
2026-11-22 22:57:49.869 CET,"postgres","postgres",13866,"127.0.0.1:43940",6b03655d.362a,5,"BIND",2026-11-22 22:57:49 CET,3/12,0,LOG,00000,"duration: 0.636 ms  bind S_1/C_1: SELECT * FROM users WHERE id < $1","parameters: $1 = '9'",,,,,,,,"raw","client backend",,0
2026-11-22 22:57:49.870 CET,"postgres","postgres",13866,"127.0.0.1:43940",6b03655d.362a,6,"SELECT",2026-11-22 22:57:49 CET,3/12,0,LOG,00000,"duration: 0.021 ms  execute S_1/C_1: SELECT * FROM users WHERE id < $1","parameters: $1 = '9'",,,,,,,,"raw","client backend",,0
2026-11-22 22:57:49.870 CET,"postgres","postgres",13866,"127.0.0.1:43940",6b03655d.362a,7,"SELECT",2026-11-22 22:57:49 CET,3/12,0,LOG,00000,"duration: 0.005 ms  execute fetch from S_1/C_1: SELECT * FROM users WHERE id < $1","parameters: $1 = '9'",,,,,,,,"raw","client backend",,0
2026-11-22 22:57:53.813 CET,"postgres","postgres",13901,"127.0.0.1:45158",6b036561.364d,3,"idle",2026-11-22 22:57:53 CET,3/30,0,LOG,00000,"statement: UPDATE users SET note = E'line one\nline two; with ''quotes''' WHERE id = 3;",,,,,,,,,"psql","client backend",,0
2026-11-22 22:57:53.814 CET,"postgres","postgres",13901,"127.0.0.1:45158",6b036561.364d,4,"UPDATE",2026-11-22 22:57:53 CET,3/0,0,LOG,00000,"duration: 3.918 ms",,,,,,,,,"psql","client backend",,0
2026-11-22 22:57:54.009 CET,,,13852,,6b03655d.361c,3,,2026-11-22 22:57:49 CET,,0,LOG,00000,"checkpoint complete: wrote 6 buffers (0.0%); 0 WAL file(s) added, 0 removed, 0 recycled; write=0.001 s, sync=0.001 s, total=0.002 s",,,,,,,,,"","checkpointer",,0
`;

async function* once(text: string): AsyncGenerator<Buffer> {
  yield Buffer.from(text);
}

async function read(text: string) {
  const reading = readLog(once(text), { name: 'a.csv' });
  const records: LogRecord[] = [];
  for await (const batch of reading) records.push(...batch.records);
  return { records, summary: reading.summary() };
}

test('each statement once, as it was written: over lines, in quotes, prepared, in portions', async () => {
  const { records, summary } = await read(EXCERPT);
  check.equal(
    records.map(({ query, client, latencyMs, isWrite }) => [query, client, latencyMs, isWrite]),
    [
      ['SELECT 1,\n\n  "id" FROM users -- "odd\n\nWHERE id = 7', 'postgres@127.0.0.1', 2.295, false],
      ['PREPARE byid(int) AS SELECT name\n FROM users WHERE id = $1;', 'postgres@[local]', 0.154, false],
      ['SELECT name\n FROM users WHERE id = $1;', 'postgres@[local]', 0.205, false],
      ['SELECT * FROM users WHERE id < $1', 'postgres@127.0.0.1', 0.021, false],
      [
        "UPDATE users SET note = E'line one\\nline two; with ''quotes''' WHERE id = 3;",
        'postgres@127.0.0.1',
        undefined,
        true,
      ],
    ],
  );
  check.is(summary.badCount, 0);
  check.equal(Object.fromEntries(summary.skippedReasons), {
    'message of the server': 3,
    'statement that failed or was cancelled': 2,
    'parse or bind step, counted with its execute': 2,
    'further portion of a result, counted with its first': 1,
    'duration of a statement logged before it': 1,
  });
});

test("PostgreSQL's other formats are refused with the setting that makes a csvlog", async () => {
  for (const line of [
    '2026-11-22 22:57:50.239 CET [13852] LOG:  statement: SELECT 1\n',
    '{"timestamp":"2026-11-22 22:57:50.240 CET","pid":13852,"error_severity":"LOG","message":"statement: SELECT 1"}\n',
  ])
    try {
      await read(line);
      check.unreachable();
    } catch (error) {
      check.match((error as Error).message, /a\.csv: is a log of PostgreSQL.*log_destination = 'csvlog'/);
    }
});

test.run();
