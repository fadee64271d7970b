import { counted, percent } from '../units-text.ts';
import type { TopNode, TopPartition, TopView } from './view.ts';

const RED = '\u001b[31m';
const PLAIN = '\u001b[0m';

export interface LinesOptions {
  readonly isColoured: boolean;
  /** Of the screen; what does not fit is left out from the end. */
  readonly linesMax: number;
}

/** The screen of `foreshard top`. */
export function topLines(view: TopView, { isColoured, linesMax }: LinesOptions): string[] {
  const coming = view.nextHourPerSecond === null ? '' : `, ${rate(view.nextHourPerSecond)} in the next hour`;
  const lines = [
    `${new Date(view.atMs).toISOString().slice(0, 19).replace('T', ' ')} UTC: ${view.queriesPerSecond === null ? 'queries/s not known' : `${rate(view.queriesPerSecond)} queries/s`}${coming}, ` +
      `${counted(view.openMigrationCount, 'migration')} open`,
    ...(view.seenByAgent === null ? [] : [view.seenByAgent]),
    forecastLine(view),
    '',
    `${cell('node', 6)}${cell('partitions', 12)}${cell('queries/s', 11)}${cell('used', 7)}${cell('CPU', 7)}${cell('next hour', 11)}${cell('used', 7)}`,
    ...view.nodes.map((node) => nodeLine(node, isColoured)),
    '',
    `${cell('partition', 10)}${cell('node', 6)}${cell('queries/s', 11)}${cell('next hour', 11)}  proposed`,
    ...view.partitions.map(partitionLine),
  ];
  return lines.slice(0, linesMax);
}

function forecastLine({ forecastUntilMs, nextHourPerSecond, atMs }: TopView): string {
  if (forecastUntilMs === null)
    return 'no forecast has been published yet: it needs three windows of history';
  if (nextHourPerSecond !== null) return 'next hour: by the latest forecast, for the present owners';
  return forecastUntilMs < atMs
    ? `the latest forecast ended at ${new Date(forecastUntilMs).toISOString()}: no coordinator has made another`
    : 'the latest forecast does not cover the next hour';
}

function nodeLine(node: TopNode, isColoured: boolean): string {
  const line =
    cell(String(node.nodeId), 6) +
    cell(String(node.partitionCount), 12) +
    cell(node.queriesPerSecond === null ? 'silent' : rate(node.queriesPerSecond), 11) +
    cell(share(node.utilisation), 7) +
    cell(share(node.cpuShare), 7) +
    cell(orDash(node.nextHourPerSecond), 11) +
    cell(share(node.nextHourUtilisation), 7);
  // Said in words as well: not every terminal has colours, and not everybody sees them.
  const marked = node.isStressed ? `${line}  hot` : line;
  return isColoured && node.isStressed ? `${RED}${marked}${PLAIN}` : marked;
}

const partitionLine = (of: TopPartition): string =>
  cell(String(of.partitionId), 10) +
  cell(String(of.nodeId), 6) +
  cell(orDash(of.queriesPerSecond), 11) +
  cell(orDash(of.nextHourPerSecond), 11) +
  (of.proposedNodeId === null ? '' : `  to node ${of.proposedNodeId}`);

const cell = (text: string, width: number): string => text.padStart(width);
const share = (value: number | null): string => (value === null ? '-' : percent(value));
const orDash = (value: number | null): string => (value === null ? '-' : rate(value));
const rate = (value: number): string => (value >= 100 ? value.toFixed(0) : value.toFixed(1));
