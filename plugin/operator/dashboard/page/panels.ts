/** The panels of the page, each made anew from what the server answers. */
import { button, h, svg, table } from './dom.ts';
import { bytes, count, percent, seconds, time } from './format.ts';
import { horizonText, nodeCharts } from './node-charts.ts';
import type { Orders } from './orders.ts';
import type {
  AuditAnswer,
  MigrationsAnswer,
  OpenMigration,
  Overview,
  PartitionAnswer,
  ProposalAnswer,
  ScorecardsAnswer,
} from './records.ts';

export function migrationsPanel(
  { open, ended, endedCount }: MigrationsAnswer,
  orders: Orders | null,
): HTMLElement {
  const panel = h('section', { class: 'wide', 'aria-label': 'migrations' }, h('h2', {}, 'Migrations'));
  panel.append(
    open.length === 0
      ? h('p', { class: 'quiet' }, 'None open.')
      : table(
          ['Partition#', 'Node', 'Phase', 'Progress', 'Left', 'Why', ''],
          open.map((migration) => [
            String(migration.partitionId),
            `${migration.sourceNodeId} → ${migration.targetNodeId}`,
            `${migration.phase}${migration.isPaused ? ', paused' : ''}${migration.kind === 'move' ? '' : ` (${migration.kind})`}`,
            progressOf(migration),
            leftOf(migration),
            migration.reason,
            orders && ordersOf(migration, orders),
          ]),
        ),
  );
  if (ended.length > 0)
    panel.append(
      h('h2', {}, `Ended (${endedCount})`),
      table(
        ['Partition#', 'Node', 'Outcome', 'Ended', 'Took', 'Copied#', 'Why'],
        ended.map((of) => [
          String(of.partitionId),
          `${of.sourceNodeId} → ${of.targetNodeId}`,
          of.outcome,
          time(of.endedAtMs),
          seconds((of.endedAtMs - of.startedAtMs) / 1000),
          bytes(of.copiedBytes),
          of.reason,
        ]),
      ),
    );
  return panel;
}

function progressOf({ phase, copiedBytes, sizeBytes, readWeight }: OpenMigration): HTMLElement | string {
  if (phase === 'COPY' && copiedBytes !== null && sizeBytes)
    return h('progress', { max: sizeBytes, value: Math.min(copiedBytes, sizeBytes), 'aria-label': 'copied' });
  return phase === 'SHIFT' ? `${percent(readWeight)} of reads` : '';
}

function leftOf({ eta, wayBackSeconds, phaseSeconds }: OpenMigration): string {
  if (wayBackSeconds !== null) return `way back for ${seconds(wayBackSeconds)}`;
  const left = eta.endSeconds ?? eta.phaseSeconds;
  return left === null ? `since ${seconds(phaseSeconds)}` : `about ${seconds(left)}`;
}

function ordersOf({ partitionId, isPaused, ...may }: OpenMigration, orders: Orders): HTMLElement {
  const cell = h('div', { class: 'row' });
  if (may.canPause || isPaused)
    cell.append(button(isPaused ? 'Resume' : 'Pause', () => orders.pause(partitionId, !isPaused)));
  if (may.canCancel) cell.append(button('Cancel', () => orders.cancel(partitionId)));
  if (may.canRollBack) cell.append(button('Roll back', () => orders.rollback(partitionId)));
  return cell;
}

/** What moves were to bring and to cost, beside what they did. */
export function scorecardPanel({ cards, learnt }: ScorecardsAnswer): HTMLElement {
  const panel = h('section', { class: 'wide', 'aria-label': 'scorecard' }, h('h2', {}, 'Scorecard'));
  if (cards.length === 0) {
    panel.append(h('p', { class: 'quiet' }, 'No planned move has been carried out yet.'));
    return panel;
  }
  const orUnseen = (value: number | null, text: (known: number) => string): string =>
    value === null ? 'not seen' : text(value);
  panel.append(
    table(
      [
        'Partition#',
        'Node',
        'Ended',
        'Gain#',
        'Price#',
        'Copied#',
        'Copy#',
        'Writes waited#',
        'p99#',
        'Load that left#',
      ],
      cards.map((card) => [
        String(card.partitionId),
        `${card.sourceNodeId} → ${card.targetNodeId}`,
        time(card.endedAtMs),
        card.predicted.gain.toPrecision(3),
        card.predicted.price.toPrecision(3),
        bytes(card.copiedBytes),
        orUnseen(card.copySeconds, seconds),
        orUnseen(card.fenceSeconds, (waited) => `${Math.round(waited * 1000)} ms`),
        orUnseen(card.latencyRatio, (ratio) => `${ratio.toFixed(2)} ×`),
        orUnseen(card.realisedShare, percent),
      ]),
    ),
    h(
      'p',
      { class: 'quiet' },
      `The next plan expects a p99 of ${learnt.latencyRatio.toFixed(2)} times the usual while a copy runs, and ${percent(learnt.realisedShare)} of a promised relief.`,
    ),
  );
  return panel;
}

export function nodesPanel({ proposal }: ProposalAnswer, { zones, partitionsOf }: Overview): HTMLElement {
  const panel = h('section', { class: 'wide', 'aria-label': 'storage nodes' }, h('h2', {}, 'Storage nodes'));
  panel.append(h('p', {}, ownedText(partitionsOf)));
  const utilisation = proposal?.evidence?.utilisation;
  if (utilisation === undefined) {
    panel.append(h('p', { class: 'quiet' }, 'Utilisation is forecast with the first proposal.'));
    return panel;
  }
  const charts = h('div', {}, nodeCharts(utilisation, 0, zones));
  const choice = h(
    'select',
    {
      id: 'dimension',
      change: () => charts.replaceChildren(nodeCharts(utilisation, choice.selectedIndex, zones)),
    },
    ...utilisation.dimensions.map((name) => h('option', {}, name)),
  );
  panel.append(
    h(
      'div',
      { class: 'row' },
      h('label', { for: 'dimension' }, 'Utilisation of'),
      choice,
      horizonText(utilisation),
    ),
    charts,
    h(
      'p',
      { class: 'quiet' },
      'Dashed: as things are. Line and band: as planned, mean and upper bound. Shaded: comfort zone. Thin line: capacity.',
    ),
  );
  return panel;
}

/** Neighbours that own as many are told together: of 64 nodes most do. */
function ownedText(partitionsOf: readonly number[]): string {
  const runs: { first: number; last: number; owned: number }[] = [];
  partitionsOf.forEach((owned, node) => {
    const run = runs.at(-1);
    if (run?.owned === owned) run.last = node;
    else runs.push({ first: node, last: node, owned });
  });
  return runs
    .map(({ first, last, owned }) =>
      first === last
        ? `node ${first}: ${owned} partitions`
        : `nodes ${first} to ${last}: ${owned} partitions each`,
    )
    .join(', ');
}

export const auditPanel = ({ audit }: AuditAnswer): HTMLElement =>
  h(
    'section',
    { class: 'wide', 'aria-label': 'audit' },
    h('h2', {}, 'Audit'),
    audit.length === 0
      ? h('p', { class: 'quiet' }, 'Nobody has ordered anything.')
      : table(
          ['When', 'Who', 'What', 'Why', 'Outcome'],
          audit.map(({ atMs, by, action, partitionId, reason, outcome, message }) => [
            time(atMs),
            by,
            partitionId === null ? action : `${action} partition ${partitionId}`,
            reason,
            `${outcome}: ${message}`,
          ]),
        ),
  );

/** One partition: its load, why it moves or stays, who asks it for what. */
export function partitionDialog(partition: PartitionAnswer): HTMLDialogElement {
  const { partitionId, ownerNodeId, epoch, move, stay, types } = partition;
  const close = h('button', { type: 'button' }, 'Close');
  const why =
    move === null
      ? (stay ?? 'The latest proposal says nothing of it.')
      : `Proposed: to node ${move.targetNodeId}. ${move.reason}`;
  const dialog = h(
    'dialog',
    { 'aria-label': `partition ${partitionId}` },
    h('h2', {}, `Partition ${partitionId}`),
    h('p', {}, `On node ${ownerNodeId ?? '?'}, epoch ${epoch ?? '?'}. ${why}`),
    seriesChart(partition),
    types.length === 0
      ? h('p', { class: 'quiet' }, 'Not among the partitions of the most frequent query types.')
      : table(
          ['Asked for', 'Queries#', 'By'],
          types.map((type) => [
            type.template,
            count(type.count),
            type.clients.map(([client, asked]) => `${client} (${count(asked)})`).join(', '),
          ]),
        ),
    h('div', { class: 'row' }, close),
  );
  close.addEventListener('click', () => dialog.close());
  dialog.addEventListener('close', () => dialog.remove());
  return dialog;
}

function seriesChart({ series }: PartitionAnswer): HTMLElement {
  const points = series.flatMap(({ startMs, stepMs, queries }, part) =>
    queries.map((value, i) => ({ atMs: startMs + i * stepMs, value, isForecast: part > 0 })),
  );
  const measured = points.filter(({ isForecast }) => !isForecast);
  const endMs = measured.at(-1)?.atMs ?? 0;
  const forecast = points.filter(({ isForecast, atMs }) => isForecast && atMs > endMs);
  const shown = [...measured, ...forecast];
  const most = Math.max(1, ...shown.map(({ value }) => value ?? 0));
  const line = (of: typeof points, offset: number): string =>
    of.map(({ value }, i) => (value === null ? '' : `${i + offset},${100 - (value / most) * 100}`)).join(' ');
  const label = `load of the last ${measured.length} windows, and forecast of ${forecast.length}; at most ${count(most)} queries a window`;
  return h(
    'figure',
    { class: 'charts' },
    svg(
      'svg',
      {
        viewBox: `0 0 ${Math.max(1, shown.length - 1)} 100`,
        preserveAspectRatio: 'none',
        role: 'img',
        'aria-label': label,
      },
      svg('polyline', { class: 'after', points: line(measured, 0) }),
      svg('polyline', { class: 'before', points: line(forecast, measured.length) }),
    ),
    h('figcaption', {}, label),
  );
}
