import { Api, RequestError, type SessionInfo } from './api.ts';
import { askReason } from './ask.ts';
import { byId, h } from './dom.ts';
import { time } from './format.ts';
import { HeatMap, type HeatView } from './heat-map.ts';
import type { Orders } from './orders.ts';
import { auditPanel, migrationsPanel, nodesPanel, partitionDialog, scorecardPanel } from './panels.ts';
import { proposalPanel } from './proposal-panel.ts';
import type {
  AuditAnswer,
  MigrationsAnswer,
  MixAnswer,
  Overview,
  PartitionAnswer,
  ProposalAnswer,
  ScorecardsAnswer,
} from './records.ts';

/** Progress of what is open stands in no record: it is asked for. */
const PROGRESS_MS = 2_000;
const NOTICE_MS = 8_000;
const REJECT_MS = 86_400_000;

function notice(text: string): void {
  const line = h('p', {}, text);
  byId('notice').replaceChildren(line);
  setTimeout(() => line.remove(), NOTICE_MS);
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

/** A panel that is shown where the one before it stood. */
class Place {
  #element: HTMLElement = h('section', { class: 'wide' });

  get element(): HTMLElement {
    return this.#element;
  }

  show(panel: HTMLElement): void {
    this.#element.replaceWith(panel);
    this.#element = panel;
  }
}

class Dashboard {
  readonly #api: Api;
  readonly #orders: Orders | null;
  readonly #places = {
    nodes: new Place(),
    proposal: new Place(),
    migrations: new Place(),
    scorecard: new Place(),
    audit: new Place(),
  };
  /** Partitions of the proposal that are ticked. */
  readonly #chosen = new Set<number>();
  #overview!: Overview;
  #proposal!: ProposalAnswer;
  #heatMap!: HeatMap;
  #openCount = 0;

  constructor(api: Api, { right }: SessionInfo) {
    this.#api = api;
    this.#orders = right === 'operate' ? this.#makeOrders() : null;
  }

  async start(): Promise<void> {
    await this.#loadOverview();
    this.#heatMap = new HeatMap({
      api: this.#api,
      whole: () => this.#wholeView(),
      nowMs: () => this.#overview.nowMs,
      moves: () => this.#plannedMoves(),
      mix: (first, last) => this.#api.get<MixAnswer>(`/api/mix?first=${first}&last=${last}`),
      onPartition: (partitionId) => void this.#showPartition(partitionId),
      onView: ({ fromMs, toMs, first, last }) => {
        byId('range').textContent = `partitions ${first} to ${last}, ${time(fromMs)} to ${time(toMs)}`;
      },
    });
    const { nodes, proposal, migrations, scorecard, audit } = this.#places;
    byId('main').replaceChildren(
      h(
        'section',
        { class: 'wide', 'aria-label': 'load' },
        h('h2', {}, 'Load: measured, then forecast'),
        h('p', { class: 'quiet', id: 'range' }),
        this.#heatMap.element,
      ),
      nodes.element,
      proposal.element,
      migrations.element,
      scorecard.element,
      audit.element,
    );
    await Promise.all([
      this.#loadProposal(),
      this.#loadMigrations(),
      this.#loadScorecards(),
      this.#loadAudit(),
    ]);
    await this.#heatMap.show();
    this.#listen();
    setInterval(() => this.#openCount > 0 && void this.#loadMigrations().catch(() => {}), PROGRESS_MS);
  }

  #wholeView(): HeatView {
    const { nowMs, pastMs, horizonMs, partitionCount } = this.#overview;
    return {
      fromMs: nowMs - pastMs,
      toMs: nowMs + Math.min(pastMs, horizonMs),
      first: 0,
      last: partitionCount - 1,
    };
  }

  #plannedMoves() {
    return (this.#proposal?.proposal?.moves ?? []).map(({ partitionId, schedule, targetNodeId }) => ({
      partitionId,
      startMs: schedule?.startMs ?? this.#overview.nowMs,
      label: `to node ${targetNodeId}`,
    }));
  }

  async #loadOverview(): Promise<void> {
    this.#overview = await this.#api.get<Overview>('/api/overview');
    const { clusterName, partitionCount, partitionsOf, openCount, hasCoordinator, isPaused, mode } =
      this.#overview;
    this.#openCount = openCount;
    const who = hasCoordinator ? `mode ${mode}` : 'NO COORDINATOR: nothing is planned or moved';
    byId('summary').textContent =
      `${clusterName}: ${partitionCount} partitions on ${partitionsOf.length} nodes, ${openCount} migrations open, ${isPaused ? 'PAUSED, ' : ''}${who}`;
    const orders = this.#orders;
    byId('switches').replaceChildren(
      ...(orders === null
        ? []
        : [
            h(
              'button',
              { type: 'button', click: () => void this.#switchAll(!isPaused) },
              isPaused ? 'Resume all migrations' : 'Pause all migrations',
            ),
          ]),
    );
  }

  async #loadProposal(): Promise<void> {
    this.#proposal = await this.#api.get<ProposalAnswer>('/api/proposal');
    this.#places.proposal.show(proposalPanel(this.#proposal, this.#orders, this.#chosen));
    this.#places.nodes.show(nodesPanel(this.#proposal, this.#overview));
  }

  async #loadMigrations(): Promise<void> {
    const migrations = await this.#api.get<MigrationsAnswer>('/api/migrations');
    this.#openCount = migrations.open.length;
    this.#places.migrations.show(migrationsPanel(migrations, this.#orders));
  }

  async #loadScorecards(): Promise<void> {
    this.#places.scorecard.show(scorecardPanel(await this.#api.get<ScorecardsAnswer>('/api/scorecards')));
  }

  async #loadAudit(): Promise<void> {
    this.#places.audit.show(auditPanel(await this.#api.get<AuditAnswer>('/api/audit')));
  }

  async #showPartition(partitionId: number): Promise<void> {
    try {
      const dialog = partitionDialog(await this.#api.get<PartitionAnswer>(`/api/partitions/${partitionId}`));
      document.body.append(dialog);
      dialog.showModal();
    } catch (error) {
      notice(messageOf(error));
    }
  }

  /** The server says what has changed; the page asks for what shows it. */
  #listen(): void {
    const loaders: Readonly<Record<string, readonly (() => Promise<void>)[]>> = {
      map: [() => this.#loadOverview(), () => this.#loadMigrations(), () => this.#loadProposal()],
      ctl: [() => this.#loadOverview(), () => this.#loadProposal()],
      hist: [() => this.#loadMigrations(), () => this.#loadScorecards(), () => this.#loadProposal()],
      proposal: [() => this.#loadProposal()],
      forecast: [() => this.#loadOverview(), () => this.#heatMap.show()],
      audit: [() => this.#loadAudit()],
    };
    const events = new EventSource('/api/events');
    events.addEventListener('changed', (event) => {
      const what = JSON.parse((event as MessageEvent<string>).data) as string[];
      for (const load of new Set(what.flatMap((name) => loaders[name] ?? []))) load().catch(() => {});
    });
  }

  async #switchAll(isPaused: boolean): Promise<void> {
    await this.#give(
      isPaused ? 'Pause all migrations?' : 'Let all migrations go on?',
      isPaused ? 'pause' : 'resume',
      { partitionId: null },
    );
  }

  #makeOrders(): Orders {
    const named = (ids: readonly number[] | null): string =>
      ids === null ? 'all moves' : `partitions ${ids.join(', ')}`;
    return {
      approve: (ids) =>
        void this.#give(`Approve ${named(ids)}?`, 'approve', {
          partitionIds: ids,
          isNow: false,
          fromMs: null,
          untilMs: null,
        }),
      reject: (ids) =>
        void this.#give(`Leave ${named(ids)} where they are for a day?`, 'reject', {
          partitionIds: ids,
          forMs: REJECT_MS,
        }),
      cancel: (partitionId) =>
        void this.#give(`Cancel the migration of partition ${partitionId}? Its copy is dropped.`, 'cancel', {
          partitionId,
        }),
      rollback: (partitionId) =>
        void this.#give(`Switch partition ${partitionId} back to its old owner?`, 'rollback', {
          partitionId,
        }),
      pause: (partitionId, isPaused) =>
        void this.#give(
          `${isPaused ? 'Pause' : 'Resume'} the migration of partition ${partitionId}?`,
          isPaused ? 'pause' : 'resume',
          { partitionId },
        ),
    };
  }

  async #give(question: string, action: string, order: Readonly<Record<string, unknown>>): Promise<void> {
    const reason = await askReason(question);
    if (reason === null) return;
    try {
      const { message } = await this.#api.post<{ message: string }>(`/api/${action}`, { ...order, reason });
      notice(message);
    } catch (error) {
      notice(messageOf(error));
    }
  }
}

function showLogin(failure: string | null): void {
  const token = h('input', { type: 'password', id: 'token', autocomplete: 'off', required: true });
  const form = h(
    'form',
    {
      submit: (event) => {
        event.preventDefault();
        void begin(token.value.trim());
      },
    },
    h('h2', {}, 'Log in'),
    h('p', {}, 'foreshard dashboard prints the token when it starts.'),
    failure === null ? null : h('p', { class: 'warn', role: 'alert' }, failure),
    h('label', { for: 'token' }, 'Token'),
    token,
    h('button', { type: 'submit', class: 'main' }, 'Log in'),
  );
  byId('main').replaceChildren(h('section', { class: 'login' }, form));
  token.focus();
}

/** @param token null: with the session that this browser has, if any. */
async function begin(token: string | null): Promise<void> {
  const api = new Api();
  try {
    const session = token === null ? await api.currentSession() : await api.logIn(token);
    if (session === null) showLogin(null);
    else await new Dashboard(api, session).start();
  } catch (error) {
    if (error instanceof RequestError && error.status === 401) showLogin(error.message);
    else notice(messageOf(error));
  }
}

// The link that the command prints carries the token behind the #, which no server and no log ever sees.
const handed = new URLSearchParams(location.hash.slice(1)).get('token');
if (handed !== null) history.replaceState(null, '', location.pathname);
void begin(handed);
