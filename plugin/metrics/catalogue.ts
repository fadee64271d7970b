/**
 * Every metric that a process of ours exports, by Prometheus' conventions: base units, the unit and `_total` in the name. Labels
 * are bounded by the cluster's nodes and by lists in the code, never by its partitions, keys, templates or clients.
 *
 * @see https://prometheus.io/docs/practices/naming/ and, of `target_info`,
 * https://opentelemetry.io/docs/specs/otel/compatibility/prometheus_and_openmetrics/#resource-attributes-1
 */
export interface MetricShape {
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly help: string;
  readonly labels: readonly string[];
}

const counter = (help: string, labels: readonly string[] = []): MetricShape => ({
  type: 'counter',
  help,
  labels,
});
const gauge = (help: string, labels: readonly string[] = []): MetricShape => ({
  type: 'gauge',
  help,
  labels,
});
const histogram = (help: string, labels: readonly string[] = []): MetricShape => ({
  type: 'histogram',
  help,
  labels,
});

export const METRICS = {
  // Of every process.
  target_info: gauge('1, with what OpenTelemetry knows this process by.', [
    'service_name',
    'service_version',
    'service_instance_id',
  ]),
  foreshard_build_info: gauge('1, with what this process is.', ['role', 'node', 'version']),
  foreshard_ready: gauge('Whether /readyz would say 200.'),
  foreshard_health_reason: gauge('1 for what /readyz tells.', ['code']),
  foreshard_scrape_source_up: gauge('Whether a part of this process told its metrics in time.', ['source']),
  foreshard_config_reloads_total: counter('How often the config was read again.', ['outcome']),
  foreshard_config_last_reload_successful: gauge(
    'Whether the config in force is the one that was read last.',
  ),
  foreshard_webhooks_total: counter('Events that a receiver was to be told of.', ['outcome']),
  foreshard_event_loop_delay_seconds: histogram('How late the event loop of a thread came to its timers.', [
    'thread',
  ]),

  // Of query nodes.
  foreshard_client_connections: gauge('Connections of clients that are open.'),
  foreshard_client_connections_received_total: counter('Connections of clients that were accepted.'),
  foreshard_client_connections_refused_total: counter('Connections refused: too many were open.'),
  foreshard_commands_total: counter('Commands of clients.'),
  foreshard_error_replies_total: counter('Error replies of any kind.'),
  foreshard_refusals_total: counter('Requests refused before they were queries.', ['reason']),
  foreshard_query_duration_seconds: histogram('From the request to the answer of a storage node.', ['kind']),
  foreshard_redirects_total: counter('Requests sent again since the node was not, or no longer, the owner.'),
  foreshard_queries_held_total: counter('Requests that waited for a hand-over or a node to come back.'),
  foreshard_queries_unavailable_total: counter(
    'Queries that got an error: their partition did not come back.',
  ),
  foreshard_unknown_outcomes_total: counter('Writes of which nobody knows whether they were done.'),
  foreshard_copy_reads_total: counter('Reads sent to the copy of an open migration.'),
  foreshard_copy_reads_refused_total: counter('Of these, the owner answered instead.', ['reason']),
  foreshard_shadow_reads_total: counter('Reads answered by both sides of a migration and compared.'),
  foreshard_shadow_reads_unequal_total: counter('Of these, answers that differed.'),
  foreshard_corrupt_frames_total: counter('Frames between nodes whose checksum was wrong.'),
  foreshard_map_refreshes_total: counter('How often the map was read again.'),
  foreshard_storage_nodes: gauge('Storage nodes, and those with a connection.', ['state']),
  foreshard_partitions_held: gauge('Partitions whose queries wait.'),
  foreshard_capture_records_total: counter('Queries recorded for the forecast.'),
  foreshard_capture_dropped_total: counter('Queries that found the capture ring full.'),

  // Of storage nodes.
  foreshard_stored_bytes: gauge('Bytes of entries in the store.'),
  foreshard_stored_bytes_max: gauge('node.dataBytesMax: writes are refused beyond it.'),
  foreshard_disk_free_bytes: gauge('What is left on the disk of the store.'),
  foreshard_store_writable: gauge('Whether writes are taken.'),
  foreshard_partitions: gauge('Partitions in the store, by what the node is to them.', ['role']),
  foreshard_commits_total: counter('Durable write transactions of the store.'),
  foreshard_commit_seconds_total: counter('The time they took together.'),

  // Of the coordinator.
  foreshard_coordinator: gauge('Whether this process holds the office: 1 in exactly one of a cluster.'),
  foreshard_migrations_open: gauge('Open migrations.', ['phase']),
  foreshard_moves_waiting: gauge('Moves that wait, for a place or for their hour.', ['for']),
  foreshard_migrations_ended_total: counter('Migrations that this process has ended.', ['outcome']),
  foreshard_migration_copied_bytes_total: counter('Bytes copied by the migrations it has ended.'),
  foreshard_migration_copy_bytes_per_second: gauge('How fast all open copies are together.'),
  foreshard_migration_copy_limit_bytes_per_second: gauge('How fast the throttle lets them be.'),
  foreshard_quarantined_partitions: gauge('Partitions that are not moved for now: too many attempts failed.'),

  // Of the coordinator's cycles.
  foreshard_cycles_total: counter('Planning cycles.', ['outcome']),
  foreshard_cycle_timestamp_seconds: gauge('When the last one began.'),
  foreshard_cycle_duration_seconds: gauge('What the last one took.', ['part']),
  foreshard_plan_cost: gauge('Objective of the last proposal, points.', ['map']),
  foreshard_plan_gap_ratio: gauge('How far its map is at most above the best: after / bound - 1.'),
  foreshard_plan_moves: gauge('Moves of the last proposal, and moves worth while that found no time.', [
    'state',
  ]),
  foreshard_plan_refusal: gauge('1 for why the last proposal is empty, or smaller than what was found.', [
    'reason',
  ]),
  foreshard_plan_timestamp_seconds: gauge('When the last proposal was made.'),

  // Of its forecasts, judged by what came.
  foreshard_forecast_skill_ratio: gauge(
    'Skill of partitions against "as last week": 1 is perfect, below 0 is worse; so many have less.',
    ['quantile'],
  ),
  foreshard_forecast_load_skill_ratio: gauge('The mean of it, weighted by load.'),
  foreshard_forecast_ignored_partitions: gauge('Partitions planned with last week, for want of skill.'),
  foreshard_forecast_judged_total: counter('Partition windows with load that were compared with a forecast.'),
  foreshard_forecast_covered_total: counter('Of these, inside the forecast bounds.'),
  foreshard_forecast_level_ratio: gauge('The share of them that should be.'),
  foreshard_load_measured: gauge('Load of the last judged window, a second.', ['dimension']),
  foreshard_load_predicted: gauge('What had been forecast for it before it began.', ['dimension']),
  foreshard_node_load_measured: gauge('The same of what each storage node owns now.', [
    'storage_node',
    'dimension',
  ]),
  foreshard_node_load_predicted: gauge('What had been forecast of it.', ['storage_node', 'dimension']),
  foreshard_node_capacity: gauge('What the node carries at utilisation 1, a second.', [
    'storage_node',
    'dimension',
  ]),
  foreshard_load_window_timestamp_seconds: gauge('Start of the last judged window.'),
} as const satisfies Readonly<Record<string, MetricShape>>;

export type MetricName = keyof typeof METRICS;
