import { clusterKeys } from '../../metadata/cluster-keys.ts';

/** Where the host's own records stand in the metadata store, beside the map. */

export const clusterRoot = (clusterName: string): string =>
  clusterKeys(clusterName).mapPrefix.replace(/map\/$/, '');

export const proposalKey = (clusterName: string): string => `${clusterRoot(clusterName)}proposal/latest`;
export const reliefKey = (clusterName: string): string => `${clusterRoot(clusterName)}relief/last`;
export const pastProposalsPrefix = (clusterName: string): string =>
  `${clusterRoot(clusterName)}proposal/past/`;
export const staysKey = (clusterName: string): string => `${clusterRoot(clusterName)}proposal/stays`;
export const queryTypesPrefix = (clusterName: string): string => `${clusterRoot(clusterName)}query-types/`;
export const queryHoursPrefix = (clusterName: string): string => `${clusterRoot(clusterName)}query-hours/`;
export const queryClustersPrefix = (clusterName: string): string =>
  `${clusterRoot(clusterName)}query-clusters/`;
export const hotKeysPrefix = (clusterName: string): string => `${clusterRoot(clusterName)}hot-keys/`;
export const eventEffectsPrefix = (clusterName: string): string =>
  `${clusterRoot(clusterName)}event-effects/`;
export const capturePrefix = (clusterName: string): string => `${clusterRoot(clusterName)}capture/`;
export const forecastPrefix = (clusterName: string): string => `${clusterRoot(clusterName)}forecast/`;
export const nodeCpuPrefix = (clusterName: string): string => `${clusterRoot(clusterName)}node-cpu/`;
export const commandCostsKey = (clusterName: string): string => `${clusterRoot(clusterName)}command-costs`;
export const profilePrefix = (clusterName: string): string => `${clusterRoot(clusterName)}profile/`;
