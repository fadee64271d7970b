import type { MetadataStore, Unwatch } from '../../src/ports/metadata-store.ts';
import { clusterKeys } from './cluster-keys.ts';
import { listNodes, type NodeRegistration } from './node-registrations.ts';

/** Where the nodes listen, kept up to date: a node that starts again may do so on another port. */
export class NodeDirectory {
  readonly #metadata: MetadataStore;
  readonly #clusterName: string;
  readonly #unwatch: Unwatch;
  readonly #nodes = new Map<number, NodeRegistration>();
  #isReading = false;
  #isStale = false;
  #isClosed = false;

  private constructor(metadata: MetadataStore, clusterName: string) {
    this.#metadata = metadata;
    this.#clusterName = clusterName;
    this.#unwatch = metadata.watch(clusterKeys(clusterName).nodePrefix, () => void this.#read());
  }

  static async open(metadata: MetadataStore, clusterName: string): Promise<NodeDirectory> {
    const directory = new NodeDirectory(metadata, clusterName);
    await directory.#read();
    return directory;
  }

  addressOf(nodeId: number): { readonly host: string; readonly port: number } | null {
    const node = this.#nodes.get(nodeId);
    return node ? { host: node.host, port: node.port } : null;
  }

  close(): void {
    this.#isClosed = true;
    this.#unwatch();
  }

  async #read(): Promise<void> {
    this.#isStale = true;
    if (this.#isReading) return; // the reading that is under way reads once more
    this.#isReading = true;
    try {
      while (this.#isStale && !this.#isClosed) {
        this.#isStale = false;
        const nodes = await listNodes(this.#metadata, this.#clusterName);
        // Who is no longer listed has died, or was only cut off: where it was last is the place to try.
        for (const node of nodes) this.#nodes.set(node.nodeId, node);
      }
    } catch {
      // The store is closing or out of reach: what is known stays, and the next hint reads again.
    } finally {
      this.#isReading = false;
    }
  }
}
