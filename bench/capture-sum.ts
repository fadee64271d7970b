/** What one record adds to the sum that both ends of the ring keep. */
export function termOf(record: {
  readonly partitionId: number;
  readonly nodeId: number;
  readonly clientId: number;
  readonly requestBytes: number;
  readonly replyBytes: number;
  readonly lastKeyByte: number;
}): number {
  const { partitionId, nodeId, clientId, requestBytes, replyBytes, lastKeyByte } = record;
  return partitionId * 7 + nodeId * 1_009 + clientId * 3 + requestBytes * 11 + replyBytes + lastKeyByte * 5;
}
