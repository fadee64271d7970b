/** What INFO and the host show of a query node. Only ever grow, but for `connectedClients`. */
export interface QueryCounters {
  connectedClients: number;
  connectionsReceived: number;
  connectionsRefused: number;
  commands: number;
  /** Error replies of any kind. */
  errors: number;
  protocolErrors: number;
  /** Wrong passwords and tokens. */
  authenticationFailures: number;
  /** Commands refused because the client's token does not allow them. */
  permissionRefusals: number;
  oversizedRequests: number;
  /** Requests that a storage node refused because it is not, or no longer, the owner; each was sent again. */
  redirects: number;
  /** Requests that waited for a drain, a new owner or a node to come back. */
  held: number;
  /** Reads that a copy was asked for, and those it was behind for. */
  copyReads: number;
  copyReadsBehind: number;
  /** Reads at a copy that it did not answer in time: the owner was asked. */
  copyReadsLate: number;
  /** Mirrored reads whose answers were compared, and those that differed. */
  shadowReads: number;
  shadowReadsUnequal: number;
  /** Queries that got an error because their partition did not come back in time. */
  unavailable: number;
  /** Writes whose outcome is unknown because the connection was lost. */
  unknownOutcomes: number;
  /** Partitions whose log positions went back with a later epoch: an operator took them over from a lost store. */
  lineagesLost: number;
  mapRefreshes: number;
}

export const newQueryCounters = (): QueryCounters => ({
  connectedClients: 0,
  connectionsReceived: 0,
  connectionsRefused: 0,
  commands: 0,
  errors: 0,
  protocolErrors: 0,
  authenticationFailures: 0,
  permissionRefusals: 0,
  oversizedRequests: 0,
  redirects: 0,
  held: 0,
  copyReads: 0,
  copyReadsBehind: 0,
  copyReadsLate: 0,
  shadowReads: 0,
  shadowReadsUnequal: 0,
  unavailable: 0,
  unknownOutcomes: 0,
  lineagesLost: 0,
  mapRefreshes: 0,
});
