import { clusterInconsistencies } from './affinity/rules/rule-claims.ts';
import { affinityInconsistencies } from './affinity/settings.ts';
import { forecastInconsistencies } from './analyzer/settings.ts';
import type { Inconsistency } from './base/claims.ts';
import { isLoopback } from './base/loopback.ts';
import { memoryInconsistencies } from './kernel-memory.ts';
import { metadataInconsistencies } from './metadata-settings.ts';
import { migrationInconsistencies } from './migration/settings.ts';
import { QUERY_NODE_ID_MIN, STORAGE_NODES_MAX } from './model/ids.ts';
import { redisInconsistencies } from './redis-settings.ts';
import type { NodeSettings, SecuritySettings, Settings } from './settings.ts';
import { webhookInconsistencies } from './webhook-settings.ts';

const HOUR_MS = 3_600_000;
const WEEK_MS = 168 * HOUR_MS;

/**
 * What a schema of types cannot say: powers of two, divisors, claims over several settings, and the ranges of the sections
 * that a room of the core owns, which the room itself asserts again when it is handed its settings.
 */
export function inconsistencies(settings: Settings): readonly Inconsistency[] {
  const { cluster, capture, analyzer, affinity, plugin } = settings;
  const found = [
    ...below('forecast', forecastInconsistencies(settings.forecast)),
    ...below('affinity', affinityInconsistencies(affinity)),
    ...below('migration', migrationInconsistencies(settings.migration)),
    ...below('redis', redisInconsistencies(settings.redis)),
    ...below('webhooks', webhookInconsistencies(settings.webhooks)),
  ];
  if (!found.some(({ path }) => path.startsWith('affinity.rules')))
    found.push(...below('affinity', clusterInconsistencies(affinity.rules, cluster)));
  // Of a section that is wrong already, sizes would say nothing; without our plugin nothing is forecast.
  if (found.length === 0 && plugin.modules.includes('foreshard'))
    found.push(...memoryInconsistencies(settings));
  if (!isPowerOfTwo(cluster.partitionCount))
    found.push({ path: 'cluster.partitionCount', expected: 'a power of two' });
  if (cluster.storageNodeCount > cluster.partitionCount)
    found.push({
      path: 'cluster.storageNodeCount',
      expected: `at most cluster.partitionCount (${cluster.partitionCount}): a node without a partition has nothing to do`,
    });
  found.push(...nodeInconsistencies(settings.node));
  if (!isPowerOfTwo(capture.ringSlots)) found.push({ path: 'capture.ringSlots', expected: 'a power of two' });
  found.push(...peerTlsInconsistencies(settings.security), ...clientTlsInconsistencies(settings.security));
  found.push(...below('metadata', metadataInconsistencies(settings.metadata)));
  if (WEEK_MS % analyzer.windowMs !== 0)
    found.push({
      path: 'analyzer.windowMs',
      expected: `a divisor of one week (${WEEK_MS} ms), such as ${HOUR_MS} for one hour`,
    });
  // A list that is wrong altogether has been found above.
  if (!found.some(({ path }) => path === 'affinity.dimensions'))
    found.push(...capacityInconsistencies(settings));
  return found;
}

/** What is balanced has to be bounded. */
function capacityInconsistencies({ affinity, cluster, plugin }: Settings): Inconsistency[] {
  if (plugin.mode === 'observe') return [];
  return affinity.dimensions
    .filter(({ dimension }) => cluster.nodeCapacity[dimension] === null)
    .map(({ dimension }) => ({
      path: `cluster.nodeCapacity.${dimension}`,
      expected: `what one storage node carries per second: plugin.mode "${plugin.mode}" balances ${dimension} (affinity.dimensions)`,
    }));
}

/** Of one node's own file; where one file serves several, its command line says which it is, and is checked with it. */
function nodeInconsistencies({ role, id, ...node }: NodeSettings): Inconsistency[] {
  const found: Inconsistency[] = [];
  if (node.mapSizeBytes < MAP_BYTES_PER_DATA_BYTE * node.dataBytesMax)
    found.push({
      path: 'node.mapSizeBytes',
      expected:
        `at least ${MAP_BYTES_PER_DATA_BYTE} x node.dataBytesMax (${MAP_BYTES_PER_DATA_BYTE * node.dataBytesMax}): pages are down ` +
        'to half full, and commits write new ones beside the old. It is address space, not disk: raise it, or lower node.dataBytesMax',
    });
  if (id !== null && role === null)
    found.push({ path: 'node.role', expected: '"storage" or "query" beside node.id' });
  if (id !== null && role === 'storage' && id >= STORAGE_NODES_MAX)
    found.push({ path: 'node.id', expected: `below ${STORAGE_NODES_MAX} for a storage node` });
  if (id !== null && role === 'query' && id < QUERY_NODE_ID_MIN)
    found.push({ path: 'node.id', expected: `${QUERY_NODE_ID_MIN} or above for a query node` });
  // Nobody authenticates there, so no flag allows another address.
  const health = node.healthListen;
  if (health !== null && !health.startsWith('unix:') && !isLoopback(hostOf(health)))
    found.push({ path: 'node.healthListen', expected: 'a loopback address, or unix:/path/to/health.sock' });
  const listen = role === 'query' ? node.clientListen : node.peerListen;
  if (node.advertiseHost !== null && isWildcard(node.advertiseHost))
    found.push({ path: 'node.advertiseHost', expected: 'an address of this machine, not every one' });
  else if (role !== null && node.advertiseHost === null && isWildcard(hostOf(listen)))
    found.push({
      path: 'node.advertiseHost',
      expected: `the name or address by which others reach this node, since it listens on ${listen}, which is none (--advertise, FORESHARD_NODE_ADVERTISE_HOST)`,
    });
  return found;
}

/** Of `host:port`, without the brackets of IPv6. */
const hostOf = (listen: string): string => listen.slice(0, listen.lastIndexOf(':')).replace(/^\[|\]$/g, '');

/** Every address of the machine: one may listen there, and nobody can connect to it. */
const isWildcard = (host: string): boolean => /^(\[?[0:]*:[0:]*\]?|0+(\.0+){0,3})$/.test(host);

/**
 * The quota counts bytes of entries, the map has to hold pages: a split leaves them half full, a value of just over half a page
 * has a page to itself, and a commit writes new pages while snapshots still read the old ones. A map that is full refuses
 * commits, which is fail-stop for writes; the quota is to be met first.
 */
const MAP_BYTES_PER_DATA_BYTE = 2;

function peerTlsInconsistencies(security: SecuritySettings): Inconsistency[] {
  const files = ['peerAuthorityFile', 'peerCertificateFile', 'peerKeyFile'] as const;
  const missing = files.filter((name) => security[name] === null);
  if (missing.length === 0 || missing.length === files.length) return [];
  return [{ path: `security.${missing[0]}`, expected: `set as well: ${files.join(', ')} come together` }];
}

function clientTlsInconsistencies(security: SecuritySettings): Inconsistency[] {
  const pair = ['serverCertificateFile', 'serverKeyFile'] as const;
  const missing = pair.filter((name) => security[name] === null);
  if (missing.length === 1)
    return [{ path: `security.${missing[0]}`, expected: `set as well: ${pair.join(' and ')} come together` }];
  if (missing.length === 2 && security.clientAuthorityFile !== null)
    return [
      {
        path: 'security.serverCertificateFile',
        expected: 'set as well: without TLS nobody shows a certificate of security.clientAuthorityFile',
      },
    ];
  return [];
}

const below = (section: string, found: readonly Inconsistency[]): Inconsistency[] =>
  found.map(({ path, expected }) => ({ path: `${section}.${path}`, expected }));

const isPowerOfTwo = (value: number): boolean => (value & (value - 1)) === 0;
