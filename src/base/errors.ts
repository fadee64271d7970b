/**
 * The public error codes. Few on purpose: a code is added only where callers would act differently.
 * Messages may change between versions, codes do not.
 */
export type ErrorCode =
  | 'FORESHARD_CONFIG' // a setting is wrong or missing
  | 'FORESHARD_NOT_READY' // too little history, or a component has not started
  | 'FORESHARD_STALE_EPOCH' // the actor holds an older partition map than the one in effect
  | 'FORESHARD_NOT_OWNER' // the node does not own the partition (any more)
  | 'FORESHARD_BEHIND' // the copy has not yet applied what the caller has already seen
  | 'FORESHARD_CONFLICT' // a compare-and-swap lost
  | 'FORESHARD_UNKNOWN_OUTCOME' // a commit timed out: it may or may not have happened
  | 'FORESHARD_UNAVAILABLE' // a node or the metadata store cannot be reached
  | 'FORESHARD_CORRUPT' // bytes failed a checksum, a limit or a schema
  | 'FORESHARD_DIGEST_MISMATCH' // two copies of a partition differ
  | 'FORESHARD_DISK_FULL' // the store refuses writes to keep its reserve
  | 'FORESHARD_STORE_FAILED' // a commit error: the environment is fail-stop for writes
  | 'FORESHARD_LIMIT'; // a named limit was reached

/** What the caller should do next. */
export type Remedy =
  | 'fix-config'
  | 'wait'
  | 'retry'
  | 'refresh-map'
  | 're-read'
  | 'abort'
  | 'free-space'
  | 'restart'
  | 'report';

/** States what the *world* did: bad input, a lost race, a full disk. */
export class ForeshardError extends Error {
  override readonly name = 'ForeshardError';
  readonly code: ErrorCode;
  readonly remedy: Remedy;

  constructor(code: ErrorCode, remedy: Remedy, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
    this.remedy = remedy;
  }
}

/** Our own bug. Caught in one place, `plugin/host`, which detaches the plugin and lets the database go on. */
export class InvariantError extends Error {
  override readonly name = 'InvariantError';
}
