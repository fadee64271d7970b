import { readLog } from '../../../plugin/logs/read-log.ts';
import type { Random } from '../../../src/base/random.ts';
import { mutateBytes, oneIn, pick } from '../mutate.ts';
import type { FuzzTarget, Outcome } from '../target.ts';

const LINES: readonly string[] = [
  '1795374263.343790 [0 127.0.0.1:46866] "set" "user:{7}:cart" "value"',
  '1795374263.520359 [0 [::1]:3] "eval" "return 1" "2" "a" "b"',
  '{"time":"2024-01-15T10:00:00Z","client":"web","query":"hget","key":"k","latencyMs":1.5}',
  '{"time":1700000000000,"query":"SELECT 1","keys":["a",2]}',
  '127.0.0.1 - - [10/Oct/2024:13:55:36 +0200] "GET /a?b=c HTTP/1.1" 200 2326 "-" "agent"',
  'time,client,query,key',
  '2024-01-15 10:00:00,web,get,user:1',
  '2024-01-15 10:00:00.123 UTC,"u","d",1,"[local]",a.b,1,"SELECT",2024-01-15 10:00:00 UTC,3/4,0,LOG,00000,"duration: 1.250 ms  statement: SELECT ""a""\nFROM t",,,,,,,,,"psql","client backend",,0',
];
const CHUNKS = [1, 7, 64, 4096, 1 << 20];

/** Query logs of other programs, whatever they really are, packed or not. */
export class LogsTarget implements FuzzTarget {
  readonly name = 'logs';

  generate(random: Random): Buffer {
    const line = pick(LINES, random);
    const count = 1 + random.nextBelow(5);
    const lines = Array.from({ length: count }, () => (oneIn(3, random) ? pick(LINES, random) : line));
    const end = oneIn(8, random) ? '\r\n' : '\n';
    return Buffer.from(lines.map((text) => text + end).join(''));
  }

  mutate(input: Buffer, random: Random): Buffer {
    return mutateBytes(input, random);
  }

  async run(input: Buffer): Promise<Outcome> {
    const chunkBytes = CHUNKS[input.length % CHUNKS.length] as number;
    // Small limits, so that what lies behind them is reached by small inputs.
    const reading = readLog(chunksOf(input, Math.max(chunkBytes, input.length >> 8)), {
      lineBytesMax: 16 * 1024,
      badLinesMax: { count: 20, share: 0.5 },
    });
    let count = 0;
    for await (const { records } of reading)
      for (const { timeMs, keys } of records) {
        if (!Number.isFinite(timeMs) || keys.some((key) => typeof key !== 'string'))
          throw new Error('a record that is none');
        count++;
      }
    const { format, badLines, ...summary } = reading.summary();
    return { kind: `${format} ${Math.min(3, count)} ${badLines.length > 0}`, value: [summary, badLines] };
  }
}

async function* chunksOf(input: Buffer, chunkBytes: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < input.length; at += chunkBytes) yield input.subarray(at, at + chunkBytes);
}
