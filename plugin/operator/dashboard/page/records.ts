/** What the server answers with, as far as the page reads it. */
import type { ScorecardReport } from '../../migration/scorecard-command.ts';
import type { ComfortZone, UtilisationTable } from './node-charts.ts';

export interface Overview {
  readonly clusterName: string;
  readonly partitionCount: number;
  readonly partitionsOf: readonly number[];
  readonly openCount: number;
  readonly hasCoordinator: boolean;
  readonly isPaused: boolean;
  readonly mode: string;
  readonly windowMs: number;
  readonly pastMs: number;
  readonly horizonMs: number;
  readonly zones: readonly ComfortZone[];
  readonly nowMs: number;
}

export interface ProposedMove {
  readonly partitionId: number;
  readonly sourceNodeId: number;
  readonly targetNodeId: number;
  readonly sizeBytes: number;
  readonly gain: number;
  readonly cost: number;
  readonly reason: string;
  readonly schedule: { readonly startMs: number; readonly seconds: number } | null;
}

export interface Decision {
  readonly partitionId: number;
  readonly by: string;
  readonly reason: string;
}

export interface ProposalAnswer {
  /** What has become of each move of the proposal. */
  readonly fates: readonly { readonly partitionId: number; readonly fate: string; readonly text: string }[];
  readonly proposal: {
    readonly atMs: number;
    readonly expiresAtMs: number;
    readonly costBefore: number;
    readonly costAfter: number;
    readonly lowerBound: number;
    readonly refusal: string | null;
    readonly moves: readonly ProposedMove[];
    readonly evidence: { readonly utilisation: UtilisationTable } | null;
  } | null;
  readonly decisions: {
    readonly approvals: readonly (Decision & {
      readonly notBeforeMs: number;
      readonly notAfterMs: number;
      readonly targetNodeId: number;
    })[];
    readonly rejections: readonly (Decision & { readonly untilMs: number })[];
  };
}

export interface OpenMigration {
  readonly partitionId: number;
  readonly sourceNodeId: number;
  readonly targetNodeId: number;
  readonly kind: string;
  readonly phase: string;
  readonly phaseSeconds: number;
  readonly isPaused: boolean;
  readonly readWeight: number;
  readonly copiedBytes: number | null;
  readonly sizeBytes: number | null;
  readonly eta: { readonly phaseSeconds: number | null; readonly endSeconds: number | null };
  readonly wayBackSeconds: number | null;
  readonly canCancel: boolean;
  readonly canPause: boolean;
  readonly canRollBack: boolean;
  readonly reason: string;
}

export interface MigrationsAnswer {
  readonly open: readonly OpenMigration[];
  readonly ended: readonly {
    readonly partitionId: number;
    readonly sourceNodeId: number;
    readonly targetNodeId: number;
    readonly outcome: string;
    readonly reason: string;
    readonly startedAtMs: number;
    readonly endedAtMs: number;
    readonly copiedBytes: number;
  }[];
  readonly endedCount: number;
}

/** As the command prints it. */
export type ScorecardsAnswer = ScorecardReport;

export interface MixAnswer {
  /** [name, share] each, the largest first. */
  readonly templates: readonly (readonly [string, number])[];
  readonly clients: readonly (readonly [string, number])[];
}

export interface PartitionAnswer {
  readonly partitionId: number;
  readonly ownerNodeId: number | null;
  readonly epoch: number | null;
  readonly move: ProposedMove | null;
  readonly stay: string | null;
  readonly series: readonly {
    readonly startMs: number;
    readonly stepMs: number;
    readonly queries: readonly (number | null)[];
  }[];
  readonly types: readonly {
    readonly template: string;
    readonly count: number;
    readonly clients: readonly (readonly [string, number])[];
  }[];
}

export interface AuditAnswer {
  readonly audit: readonly {
    readonly atMs: number;
    readonly by: string;
    readonly action: string;
    readonly partitionId: number | null;
    readonly reason: string;
    readonly outcome: string;
    readonly message: string;
  }[];
}
