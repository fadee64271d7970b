import { execFileSync, spawnSync } from 'node:child_process';

const SETUP = 'ip link set lo up && ip link set lo mtu 1500';

/** Why no rates can be limited here; null when they can. */
export function whyNoRateLimits(): string | null {
  const probe = spawnSync(
    'unshare',
    ['-n', 'sh', '-c', `${SETUP} && tc qdisc add dev lo root handle 1: htb default 99`],
    { encoding: 'utf8' },
  );
  if (probe.status === 0) return null;
  const why = (probe.error?.message ?? probe.stderr).trim().slice(0, 200);
  return `no network namespace with tc (root, iproute2): ${why}`;
}

/** Runs a program in a network namespace of its own, where its servers' rates can be limited. @returns its standard output. */
export function runInNamespace(words: readonly string[]): string {
  const child = spawnSync('unshare', ['-n', 'sh', '-c', `${SETUP} && exec "$@"`, 'sh', ...words], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
    maxBuffer: 16 << 20,
  });
  if (child.status !== 0) throw new Error(`the run in the namespace ended with ${child.status}`);
  return child.stdout;
}

/**
 * What each of these addresses of `lo` sends is held to a rate, as a machine's network would: only inside a namespace of one's
 * own, where there is no other `lo`.
 */
export function limitRates(hosts: readonly string[], bitsPerSecond: number): void {
  const tc = (words: string): void => void execFileSync('tc', words.split(' '));
  tc('qdisc add dev lo root handle 1: htb default 99');
  for (const [index, host] of hosts.entries()) {
    const id = index + 1;
    tc(
      `class add dev lo parent 1: classid 1:${id} htb rate ${Math.round(bitsPerSecond)}bit burst 6k cburst 6k quantum 3000`,
    );
    tc(`qdisc add dev lo parent 1:${id} handle ${10 + id}: pfifo limit 10000`);
    tc(`filter add dev lo parent 1: protocol ip prio 1 u32 match ip src ${host}/32 flowid 1:${id}`);
  }
}
