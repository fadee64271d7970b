/**
 * Foreshard's core, for programs that bring their own edge: the loop, its rooms and the ports they ask of the world.
 * Nothing here opens a file or a socket. The plugin for a database node is `foreshard/plugin`.
 */
export { annealer, DEFAULT_ANNEAL_SETTINGS } from './affinity/optimisers/anneal.ts';
export { DEFAULT_GENETIC_SETTINGS, type GeneticSettings, genetic } from './affinity/optimisers/genetic.ts';
export { greedy } from './affinity/optimisers/greedy.ts';
export { naiveHillClimb } from './affinity/optimisers/naive-hill-climb.ts';
export type {
  Optimiser,
  OptimiserResult,
  SearchContext,
  SearchProgress,
} from './affinity/optimisers/optimiser.ts';
export {
  DEFAULT_PORTFOLIO_SETTINGS,
  type PortfolioSettings,
  portfolio,
} from './affinity/optimisers/portfolio.ts';
export type { PlanMemory } from './affinity/plan-memory.ts';
export { AffinityManager } from './affinity/planner.ts';
export { type Decomposition, type DecompositionOptions, decompose } from './analyzer/decomposition.ts';
export { Forecaster } from './analyzer/forecaster.ts';
export { HierarchyForecaster } from './analyzer/hierarchy/hierarchy-forecaster.ts';
export { PatternAnalyzer, type PatternSettings } from './analyzer/patterns/pattern-analyzer.ts';
export type { PatternRecord, PatternReport } from './analyzer/patterns/pattern-report.ts';
export type { SqlParser, TemplateKind } from './analyzer/patterns/templates.ts';
export { ProfileBuilder } from './analyzer/profile.ts';
export { mergeSegments, type ProfileSegment } from './analyzer/profile-segment.ts';
export {
  type CoherentForecast,
  type Hierarchy,
  type LevelForecast,
  reconcile,
} from './analyzer/reconciliation.ts';
export { findOutages } from './analyzer/seasons/find-outages.ts';
export {
  findSeasons,
  findSharedSeasons,
  type Season,
  type SeasonOptions,
} from './analyzer/seasons/find-seasons.ts';
export { findShifts, type Shift } from './analyzer/seasons/find-shifts.ts';
export {
  clusterSeasonality,
  type Outage,
  type Seasonality,
  seasonalityOf,
} from './analyzer/seasons/seasonality.ts';
export {
  type Backtest,
  type BacktestComponents,
  gainOfOracle,
  measurePolicy,
  POLICY_NAMES,
  type PolicyName,
  replayPolicy,
} from './backtest/backtest.ts';
export { slotCountPolicy, staticPolicy, stayPolicy } from './backtest/fixed-policies.ts';
export { HourlyForecasts } from './backtest/hourly-forecasts.ts';
export {
  evaluateTimeline,
  type MeasuredLoad,
  type OwnershipTimeline,
  type PolicyMetrics,
} from './backtest/metrics.ts';
export type { MigrationModel } from './backtest/migration-model.ts';
export {
  naiveHillClimbPolicy,
  oraclePolicy,
  simulatedPredictivePolicy,
} from './backtest/planning-policies.ts';
export { reliefPolicy } from './backtest/relief-policies.ts';
export { type Clock, systemClock, VirtualClock } from './base/clock.ts';
export { type ErrorCode, ForeshardError, InvariantError, type Remedy } from './base/errors.ts';
export { type Logger, silentLogger } from './base/logger.ts';
export { type Random, seededRandom } from './base/random.ts';
export {
  type AdmissionReport,
  type ClusterState,
  type CycleComponents,
  type CycleReport,
  PLUGIN_MODES,
  type PluginMode,
  runCycle,
} from './controller.ts';
export { type Kernels, loadKernels } from './kernels/instance.ts';
export { inlineRunner, KernelPool, type KernelRunner } from './kernels/pool.ts';
export { MigrationExecutor } from './migration/executor.ts';
export type { Forecast } from './model/forecast.ts';
export type { Epoch, NodeId, PartitionId } from './model/ids.ts';
export { LOAD_DIMENSIONS, type LoadDimension, type LoadProfile } from './model/load-profile.ts';
export {
  DIGEST_FORMAT,
  type Digest,
  type Lsn,
  MIGRATION_PHASES,
  type MigrationCommand,
  type MigrationPhase,
  type PartitionRecord,
  type PartitionRole,
} from './model/migration.ts';
export type { NodeUtilisation } from './model/node-utilisation.ts';
export { contiguousMap, type PartitionMap, partitionOfSlot, SLOT_COUNT } from './model/partition-map.ts';
export type { LeftOutMove, Move, MoveSchedule, Proposal } from './model/proposal.ts';
export type { QueryRecord } from './model/query-log.ts';
export type { LogSource } from './ports/log-source.ts';
export {
  type Announced,
  type Announcement,
  type Candidacy,
  type CommitResult,
  conditionHolds,
  type Leadership,
  type MetadataCondition,
  type MetadataEntry,
  type MetadataStore,
  type MetadataTransaction,
  type MetadataWrite,
  TRANSACTION_BYTES_MAX,
  TRANSACTION_OPERATIONS_MAX,
  type Unwatch,
} from './ports/metadata-store.ts';
export type {
  LogEntry,
  PartitionMeta,
  PartitionSnapshot,
  PartitionStore,
  PhysicalEntry,
} from './ports/partition-store.ts';
export type {
  CopyRates,
  EngineCapabilities,
  EntryFingerprint,
  EntryPage,
  ListEntriesOptions,
  NodeMigrationStatus,
  NodeStatistics,
  PrepareOptions,
  StorageEngine,
} from './ports/storage-engine.ts';
export { keySlot } from './routing/key-slot.ts';
export { DEFAULT_SETTINGS, type Settings } from './settings.ts';
