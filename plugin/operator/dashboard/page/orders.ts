/** What a panel may ask for; nothing where the session may only look. */
export interface Orders {
  readonly approve: (partitionIds: readonly number[] | null) => void;
  readonly reject: (partitionIds: readonly number[]) => void;
  readonly cancel: (partitionId: number) => void;
  readonly rollback: (partitionId: number) => void;
  readonly pause: (partitionId: number, isPaused: boolean) => void;
}
