import { createRequire } from 'node:module';

/**
 * The package etcd3, loaded when it is first asked for. With its gRPC it is 130 modules, and a cluster on the embedded store
 * never talks to etcd.
 */
export const etcdLibrary = (): typeof import('etcd3') =>
  createRequire(import.meta.url)('etcd3') as typeof import('etcd3');
