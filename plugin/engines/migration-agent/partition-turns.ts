/** Commands for one partition take effect one after the other, also those that a network has doubled. */
export class PartitionTurns {
  /** The last state change of each partition: the next waits for it, however it ends. */
  readonly #last = new Map<number, Promise<unknown>>();

  take<T>({ partitionId }: { readonly partitionId: number }, action: () => Promise<T>): Promise<T> {
    const turn = (this.#last.get(partitionId) ?? Promise.resolve()).then(action, action);
    this.#last.set(partitionId, turn);
    const forget = () => {
      if (this.#last.get(partitionId) === turn) this.#last.delete(partitionId);
    };
    turn.then(forget, forget);
    return turn;
  }

  /** Resolves when what has been asked until now has ended; never rejects. */
  async settled(): Promise<void> {
    await Promise.all([...this.#last.values()].map((turn) => turn.catch(() => {})));
  }
}
