/** What `npm start -- --json` prints, and the same as a table for people. */
export interface ReplayReport {
  readonly policies: Readonly<Record<PolicyName, PolicyFigures>>;
  /** As the executor counts them, those of the first live day included; bytes as copied, framing and log included. */
  readonly migrations: {
    readonly done: number;
    readonly aborted: number;
    /** Most frequent first; fences that were tried again with the same copy are among them. */
    readonly abortReasons: readonly { readonly reason: string; readonly count: number }[];
    readonly bytesCopied: number;
  };
  readonly migrationsLeftOpen: number;
  readonly clientErrors: number;
  readonly keysChecked: number;
  readonly keysLost: number;
  readonly keysWrong: number;
  readonly captured: number;
  readonly dropped: number;
  readonly seconds: number;
  readonly latencyMs: { readonly during: LatencyFigures; readonly outside: LatencyFigures };
  readonly peakMemoryBytes: number;
  /** Cells (hour x partition) in which the captured load differs from what was sent; 0 when capture is exact. */
  readonly captureMismatches: number;
  /** What the capture saw, by template; a departure is four queries of four types, so that the counts are equal. */
  readonly queryTypes: readonly { readonly template: string; readonly count: number }[];
}

export const POLICY_NAMES = ['stay', 'static', 'naive-hill-climb', 'predictive'] as const;
export type PolicyName = (typeof POLICY_NAMES)[number];

export interface PolicyFigures {
  /** Load-weighted mean of rho / (1 - rho), linear beyond 0.95. */
  readonly latencyIndex: number;
  /** Node-hours above 80 %. */
  readonly overloadNodeHours: number;
  readonly peakUtilisation: number;
  readonly meanUtilisation: number;
  readonly moves: number;
  readonly bytesMoved: number;
}

export interface LatencyFigures {
  readonly p50: number;
  readonly p99: number;
  readonly count: number;
}

export function formatReport(report: ReplayReport): string {
  const rows = POLICY_NAMES.map((name) => {
    const figures = report.policies[name];
    return [
      name,
      figures.latencyIndex.toFixed(3),
      String(figures.overloadNodeHours),
      percent(figures.peakUtilisation),
      percent(figures.meanUtilisation),
      String(figures.moves),
      mebibytes(figures.bytesMoved),
    ];
  });
  const header = ['policy', 'latency index', 'node-hours > 80 %', 'peak', 'mean', 'moves', 'MiB moved'];
  const { during, outside } = report.latencyMs;
  return [
    formatTable([header, ...rows]),
    '',
    'All policies on the same captured load, from the second live day on; moves are changes of owner from one hour to the',
    'next, bytes are those of keys and values. stay, static and naive-hill-climb are computed; predictive is what ran.',
    verdict(report.policies),
    '',
    `migrations     ${report.migrations.done} done, ${report.migrations.aborted} aborted, ${mebibytes(report.migrations.bytesCopied)} MiB copied`,
    ...report.migrations.abortReasons.map(({ reason, count }) => `               ${count} x ${reason}`),
    `client errors  ${report.clientErrors}`,
    `latency        during migrations p50 ${during.p50.toFixed(2)} ms, p99 ${during.p99.toFixed(2)} ms (${during.count} queries)`,
    `               outside           p50 ${outside.p50.toFixed(2)} ms, p99 ${outside.p99.toFixed(2)} ms (${outside.count} queries)`,
    `keys           ${report.keysChecked} read back, ${report.keysLost} lost, ${report.keysWrong} wrong`,
    `captured       ${report.captured} queries, ${report.dropped} dropped, ${report.captureMismatches} cells (hour x partition) differ from what was sent`,
    ...report.queryTypes.map(
      ({ template, count }, i) =>
        `${i === 0 ? 'query types' : '           '}    ${template}: ${count} queries`,
    ),
    `memory         ${mebibytes(report.peakMemoryBytes)} MiB at most in all processes together`,
    `time           ${report.seconds.toFixed(0)} s`,
  ].join('\n');
}

function verdict({ predictive, static: fixed }: ReplayReport['policies']): string {
  const share = Math.abs(1 - predictive.latencyIndex / fixed.latencyIndex) * 100;
  const direction = predictive.latencyIndex < fixed.latencyIndex ? 'below' : 'above';
  return `predictive: latency index ${share.toFixed(1)} % ${direction} the static map's, ${predictive.moves} moves against ${fixed.moves}.`;
}

const percent = (share: number): string => `${(share * 100).toFixed(0)} %`;
const mebibytes = (bytes: number): string => (bytes / 2 ** 20).toFixed(1);

/** Columns padded to their widest cell; the first to the left, figures to the right. */
function formatTable(rows: readonly (readonly string[])[]): string {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  return rows
    .map((row) =>
      row
        .map((cell, column) => (column === 0 ? cell.padEnd(widths[column]) : cell.padStart(widths[column])))
        .join('  '),
    )
    .join('\n');
}
