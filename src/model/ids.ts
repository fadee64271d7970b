/** Dense 0..partitionCount-1: indexes typed arrays. */
export type PartitionId = number & { readonly brand: 'PartitionId' };
/** Dense 0..nodeCount-1 among storage nodes: indexes typed arrays. */
export type NodeId = number & { readonly brand: 'NodeId' };
/** +1 at every change of a partition's owner; fences stale actors. */
export type Epoch = number & { readonly brand: 'Epoch' };

export const asPartitionId = (value: number): PartitionId => value as PartitionId;
export const asNodeId = (value: number): NodeId => value as NodeId;
export const asEpoch = (value: number): Epoch => value as Epoch;

/** Query nodes have ids from here on, so that storage node ids stay dense: both register under one number space. */
export const QUERY_NODE_ID_MIN = 10_000;
/** Storage nodes are indexes of the planner's tables. */
export const STORAGE_NODES_MAX = 1024;
