/** What a storage node's side of migrations is tuned by. */
export interface AgentSettings {
  readonly partitionCount: number;
  /** Bytes of entries asked for in one request: one synced transaction of the copy, so also a slice of its event loop. */
  readonly pieceBytes: number;
  /** Smaller pieces, down to this, where one takes the event loop longer than `pieceMsMax`. */
  readonly pieceBytesMin: number;
  readonly pieceMsMax: number;
  /** Bytes that one answer holds at most; one larger entry travels in parts. */
  readonly partBytesMax: number;
  /** How long the owner keeps a request for which it has no log entries yet. */
  readonly logWaitMs: number;
  /** Removal in batches: so many entries, then a pause. */
  readonly removeEntriesMax: number;
  readonly removePauseMs: number;
  /** A source whose copy lies so many entries behind gives up: the log would fill the disk. */
  readonly logEntriesMax: number;
  /** A snapshot that nobody has read from for so long is closed: it pins old pages. */
  readonly snapshotIdleMs: number;
  /** The log is trimmed whenever its reader has durably applied so many more entries. */
  readonly trimEntries: number;
}

export const DEFAULT_AGENT_SETTINGS: Omit<AgentSettings, 'partitionCount'> = {
  pieceBytes: 256 << 10,
  pieceBytesMin: 32 << 10,
  pieceMsMax: 5,
  partBytesMax: 3 << 20, // below the 4 MiB of a bulk
  logWaitMs: 200,
  removeEntriesMax: 128,
  removePauseMs: 20,
  logEntriesMax: 5_000_000,
  snapshotIdleMs: 30_000,
  trimEntries: 1024,
};
