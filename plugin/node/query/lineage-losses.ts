/**
 * Who still has to hear that an operator's takeover has given up what they may have seen. A client is told once for a partition,
 * by an error in place of its next reply: what it reads afterwards may be older than what it read before, but not in silence.
 */
export class LineageLosses {
  readonly #untoldOf = new Map<number, { readonly text: string; readonly clientIds: Set<number> }>();

  /** Nobody has to hear anything: all that the query path asks. */
  get isEmpty(): boolean {
    return this.#untoldOf.size === 0;
  }

  /**
   * @param seenLsn the highest lsn that this node has passed on, above `cutLsn`: whose it was nobody noted.
   * @param clientIds of everybody who was connected by then.
   */
  cut(
    partitionId: number,
    { cutLsn, seenLsn, clientIds }: { cutLsn: number; seenLsn: number; clientIds: Iterable<number> },
  ): void {
    const text =
      `LINEAGELOST partition ${partitionId} was taken over at lsn ${cutLsn} after its owner was lost; this node had seen ` +
      `${seenLsn}: what was read or written after ${cutLsn} may be gone. This command was not done; later ones are`;
    const clients = new Set([...(this.#untoldOf.get(partitionId)?.clientIds ?? []), ...clientIds]);
    if (clients.size > 0) this.#untoldOf.set(partitionId, { text, clientIds: clients });
  }

  /** Whether a client has still to be told of a partition. */
  concerns(partitionId: number, clientId: number): boolean {
    return this.#untoldOf.get(partitionId)?.clientIds.has(clientId) === true;
  }

  /** @returns what to tell a client, which then counts as told; null when there is nothing. */
  tell(partitionId: number, clientId: number): string | null {
    const untold = this.#untoldOf.get(partitionId);
    if (!untold?.clientIds.delete(clientId)) return null;
    if (untold.clientIds.size === 0) this.#untoldOf.delete(partitionId);
    return untold.text;
  }

  /** A client has gone. */
  forget(clientId: number): void {
    for (const [partitionId, { clientIds }] of this.#untoldOf)
      if (clientIds.delete(clientId) && clientIds.size === 0) this.#untoldOf.delete(partitionId);
  }
}
