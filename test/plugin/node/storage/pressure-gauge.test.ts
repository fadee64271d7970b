import { suite } from 'uvu';
import * as check from 'uvu/assert';
import { PressureGauge } from '../../../../plugin/node/storage/pressure-gauge.ts';

const test = suite('pressure gauge');

test('tells how late the event loop was, how much CPU that took, and what a commit takes', async () => {
  const commits = { commitCount: 10, commitMs: 1_000 };
  const gauge = new PressureGauge(() => commits);
  try {
    check.equal(
      gauge.read(),
      { cpuShare: 0, loopLagMs: 0, commitMs: 0 },
      'nothing is known before a second is over',
    );
    commits.commitCount += 4;
    commits.commitMs += 40;
    const endMs = performance.now() + 1_000;
    let latestMs = 0;
    while (performance.now() < endMs) {
      const blockedUntilMs = performance.now() + 150;
      while (performance.now() < blockedUntilMs);
      await new Promise((resolve) => setTimeout(resolve, 1));
      latestMs = Math.max(latestMs, gauge.loopLagMs());
    }
    check.ok(latestMs > 100 && latestMs < 10_000, `${latestMs} ms in the last tenths of a second`);
    while (gauge.read().loopLagMs === 0) await new Promise((resolve) => setTimeout(resolve, 10));
    const { cpuShare, loopLagMs, commitMs } = gauge.read();
    check.ok(loopLagMs > 100, `${loopLagMs} ms`);
    check.ok(cpuShare > 0);
    check.is(commitMs, 10, 'what was before the gauge does not count');
    const deadlineMs = performance.now() + 20_000;
    while (gauge.loopLagMs() > 100 && performance.now() < deadlineMs)
      await new Promise((resolve) => setTimeout(resolve, 10));
    check.ok(gauge.loopLagMs() <= 100, 'what was late is over after two tenths of a second');
  } finally {
    gauge.close();
  }
});

test.run();
