import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import type { Logger } from '../../src/base/logger.ts';
import { isLoopback } from '../../src/base/loopback.ts';
import type { Announcement, MetadataStore } from '../../src/ports/metadata-store.ts';
import { endMember, type Member, putMember } from '../metadata/members.ts';
import { announceNode } from '../metadata/node-registrations.ts';
import { packageVersion } from '../version.ts';
import type { NodeOptions } from './node-options.ts';

/** A node that ends in order does not wait longer to say so: others find out by themselves. */
const WITHDRAW_MS_MAX = 1_000;

/** What a node says of itself in the metadata store, from when it listens until it ends in order. */
export class Registration {
  readonly #metadata: MetadataStore;
  readonly #clusterId: string;
  readonly #member: Member;
  readonly #announcement: Announcement;

  private constructor(
    metadata: MetadataStore,
    clusterId: string,
    said: { readonly member: Member; readonly announcement: Announcement },
  ) {
    this.#metadata = metadata;
    this.#clusterId = clusterId;
    this.#member = said.member;
    this.#announcement = said.announcement;
  }

  static async announce(
    { clusterId, nodeId, advertise, facts }: NodeOptions,
    own: {
      readonly role: Member['role'];
      readonly listens: { readonly host: string; readonly port: number };
      /** Empty for a query node. */
      readonly storeId: string;
      readonly nowMs: number;
    },
    metadata: MetadataStore,
  ): Promise<Registration> {
    const node = {
      nodeId,
      role: own.role,
      host: advertise?.host ?? own.listens.host,
      port: advertise?.port ?? own.listens.port,
      storeId: own.storeId,
      incarnation: randomBytes(8).toString('hex'),
      version: packageVersion(),
      startedAtMs: own.nowMs,
    };
    const { host, port } = own.listens;
    const isLocal = own.role === 'query' && isLoopback(host);
    const member = { ...node, ...facts, ...(isLocal && { local: { machine: hostname(), host, port } }) };
    // First who belongs here, then where it is: whoever finds the node shall find what it can carry.
    await putMember(metadata, clusterId, member);
    const announcement = await announceNode(metadata, clusterId, node);
    return new Registration(metadata, clusterId, { member, announcement });
  }

  /** Says that the node ends by its own will. Never throws. */
  async withdraw(nowMs: number, logger: Logger): Promise<void> {
    const { nodeId, incarnation } = this.#member;
    const ending = { nodeId, incarnation, atMs: nowMs };
    const patience = new Promise<'late'>((resolve) => {
      setTimeout(() => resolve('late'), WITHDRAW_MS_MAX).unref();
    });
    try {
      const said = endMember(this.#metadata, this.#clusterId, ending);
      said.catch(() => undefined); // of one that is late nobody wants to know any more
      if ((await Promise.race([said, patience])) === 'late')
        logger.warn({}, 'the metadata store does not answer: the node ends without having said so');
    } catch (error) {
      logger.warn({ fault: (error as Error).message }, 'the node ends without having said so');
    }
    await this.#announcement.end();
  }
}
