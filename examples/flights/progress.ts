/** Progress for people: one line that renews itself on a terminal, plain lines every half trace day elsewhere. */
export interface ProgressLine {
  readonly day: number;
  readonly hour: number;
  readonly queriesPerSecond: number;
  readonly p99Ms: number;
  /** f64[node], 0..1 and above. */
  readonly utilisation: Float64Array;
  readonly openMigrations: number;
  readonly doneMigrations: number;
}

export interface Progress {
  say(message: string): void;
  update(line: ProgressLine): void;
  end(): void;
}

const BARS = '▁▂▃▄▅▆▇█';

export function createProgress(stream: NodeJS.WriteStream): Progress {
  const isTerminal = stream.isTTY === true;
  let hasOpenLine = false;
  const closeLine = (): void => {
    if (hasOpenLine) stream.write('\n');
    hasOpenLine = false;
  };
  return {
    say(message) {
      closeLine();
      stream.write(`${message}\n`);
    },
    update(line) {
      const text = describe(line);
      if (isTerminal) {
        stream.write(`\r\u001b[2K${text.slice(0, stream.columns || 120)}`);
        hasOpenLine = true;
      } else if (line.hour % 12 === 11) {
        stream.write(`${text}\n`);
      }
    },
    end: closeLine,
  };
}

function describe(line: ProgressLine): string {
  const bars = Array.from(
    line.utilisation,
    (rho) => BARS[Math.max(0, Math.min(7, Math.floor(rho * 8)))],
  ).join('');
  const peak = Math.max(...line.utilisation);
  return [
    `day ${line.day} ${String(line.hour).padStart(2, '0')}:00`,
    `nodes ${bars} max ${(peak * 100).toFixed(0)} %`,
    `${line.queriesPerSecond.toFixed(0)} queries/s`,
    `p99 ${line.p99Ms.toFixed(1)} ms`,
    `migrations ${line.openMigrations} open, ${line.doneMigrations} done`,
  ].join('  ');
}
