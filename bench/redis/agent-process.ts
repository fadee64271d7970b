import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import type { SlotMoveSettings } from '../../src/redis-settings.ts';
import type { MoveOrder } from './agent-like.ts';
import { forkModule } from './load-process.ts';
import type { MoverUnderTest } from './movers.ts';

/** Where our side of a bench moves slots: like an agent, apart from the load and from whoever measures. */
export class AgentProcess {
  readonly #child: ChildProcess;
  readonly #exited: Promise<unknown>;

  private constructor(child: ChildProcess) {
    this.#child = child;
    this.#exited = once(child, 'exit');
  }

  static async start(): Promise<AgentProcess> {
    const agent = new AgentProcess(forkModule(new URL('./agent-like.ts', import.meta.url)));
    await agent.#answer();
    return agent;
  }

  mover(name: string, settings: Partial<SlotMoveSettings> = {}): MoverUnderTest {
    return {
      name,
      move: async (cluster, ends, slotCount) => {
        const order: MoveOrder = {
          nodeIds: cluster.nodeIds,
          addresses: cluster.nodeIds.map((_, index) => cluster.address(index)),
          ends,
          slots: Array.from({ length: slotCount }, (_, slot) => slot),
          settings,
        };
        const answer = this.#answer();
        this.#child.send(order);
        const fault = await answer;
        if (fault !== null) throw new Error(`our mover: ${fault}`);
      },
    };
  }

  async stop(): Promise<void> {
    this.#child.disconnect();
    await this.#exited;
  }

  async #answer(): Promise<unknown> {
    const answered = await Promise.race([once(this.#child, 'message'), this.#exited.then(() => null)]);
    if (answered === null) throw new Error('the process that moves slots has ended');
    return answered[0];
  }
}
