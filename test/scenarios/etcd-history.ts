/** Who has committed what in whose term, by what etcd itself remembers. */

export interface WrittenBy {
  readonly candidate: string;
  readonly term: number;
  readonly revision: number;
}

export interface CutOffRound {
  readonly cut: string;
  /** From the cut to the end of a migration that was opened then. */
  readonly movedFromCutMs: number;
  /** From the healing to the end of another that was opened once that was over. */
  readonly movedAfterHealMs: number;
}

export interface CandidateHistory {
  readonly commitsByTerm: Record<string, number>;
  /** Commits of a candidate that was not the leader at that revision, or that etcd does not remember. */
  readonly violations: readonly string[];
}

export interface CutOffReport {
  readonly rounds: readonly CutOffRound[];
  readonly queries: number;
  readonly failedQueries: number;
  readonly lost: readonly string[];
  readonly candidates: CandidateHistory;
  /** Commits on the map by the term of the coordinator in office at their revision. */
  readonly mapCommitsByTerm: Record<string, number>;
}

/** @param events of the leader's key and of the log, in the order of their revisions. */
export function historyOf(
  events: readonly {
    readonly key: string;
    readonly value: string | null;
    readonly revision: number;
    readonly createRevision: number;
  }[],
  names: { readonly leader: string; readonly log: string; readonly acknowledged: readonly WrittenBy[] },
): CandidateHistory {
  const commitsByTerm: Record<string, number> = {};
  const violations: string[] = [];
  const written = new Map<number, string>();
  let office: { readonly candidate: string; readonly term: number } | null = null;
  let highestTerm = 0;
  for (const { key, value, revision, createRevision } of events) {
    if (key === names.leader)
      office = value === null ? null : { candidate: JSON.parse(value).candidate, term: createRevision };
    if (key !== names.log || value === null) continue;
    const { candidate, term } = JSON.parse(value) as { candidate: string; term: number };
    written.set(revision, value);
    commitsByTerm[`${term} ${candidate}`] = (commitsByTerm[`${term} ${candidate}`] ?? 0) + 1;
    if (office?.candidate !== candidate || office.term !== term)
      violations.push(
        `at ${revision} ${candidate} committed in term ${term}, in office was ${JSON.stringify(office)}`,
      );
    if (term < highestTerm) violations.push(`at ${revision} term ${term} after ${highestTerm}`);
    highestTerm = Math.max(highestTerm, term);
  }
  for (const { candidate, term, revision } of names.acknowledged)
    if (written.get(revision) !== JSON.stringify({ candidate, term }))
      violations.push(`the commit of ${candidate} at ${revision} was acknowledged and is not there`);
  return { commitsByTerm, violations };
}
