import { HealthIndicatorService } from '@nestjs/terminus';
import { FakeClock } from '../../../../test/support/fake-clock.js';
import { CheckRunner, MAX_CHECKS, NothingKnownError, type HealthCheck } from './check-runner.js';
import { UNSEEN } from './component-state.js';

const never = () => new Promise<void>(() => undefined);
const INTERVAL_MS = 1_000;

function setUp(...checks: (Partial<HealthCheck> & { name: string })[]) {
  const clock = new FakeClock();
  const runner = new CheckRunner(new HealthIndicatorService(), clock);
  const defaults = {
    critical: false,
    intervalMs: () => INTERVAL_MS,
    timeoutMs: 20,
    failuresToDown: 1,
    passesToUp: 1,
    run: () => undefined,
  };
  for (const check of checks) runner.add({ ...defaults, ...check }, 0);
  return { clock, runner, statusOf: (name: string) => runner.viewOf(name)?.status };
}

describe(CheckRunner.name, () => {
  it('lets a check that hangs delay neither the others nor a reader', async () => {
    const { runner, statusOf } = setUp({ name: 'hangs', run: never, timeoutMs: 5_000 }, { name: 'quick' });
    runner.tick();
    await runner.runNow('quick');
    expect(statusOf('quick')).toBe('up');
    expect(statusOf('hangs')).toBe('unknown');
  });

  it('calls a check down that does not end in its time-out', async () => {
    const { runner } = setUp({ name: 'hangs', run: never });
    await runner.runNow('hangs');
    expect(runner.viewOf('hangs')).toMatchObject({
      status: 'down',
      errorCode: 'TIMEOUT',
      latencyMs: null,
      consecutiveFailures: 1,
    });
  });

  it('never starts a check again while its last run hangs, and gives that up after a minute', async () => {
    let started = 0;
    const run = () => {
      started += 1;
      return never();
    };
    const { clock, runner } = setUp({ name: 'hangs', run });
    await runner.runNow('hangs');
    clock.advance(INTERVAL_MS);
    await runner.runNow('hangs');
    expect(started).toBe(1);
    expect(runner.viewOf('hangs')).toMatchObject({ consecutiveFailures: 2, ageMs: 0 });
    clock.advance(60_000);
    await runner.runNow('hangs');
    expect(started).toBe(2);
  });

  it('aborts the signal at the time-out, so that sockets can be closed', async () => {
    let aborted = false;
    const { runner } = setUp({
      name: 'hangs',
      run: ({ signal }) =>
        new Promise((_, reject) =>
          signal.addEventListener('abort', () => reject(new Error(String((aborted = true))))),
        ),
    });
    await runner.runNow('hangs');
    expect(aborted).toBe(true);
  });

  it('runs what is due, by its own interval, and nothing twice', async () => {
    const ran: string[] = [];
    const { clock, runner } = setUp(
      { name: 'slow', intervalMs: () => 5_000, run: () => void ran.push('slow') },
      { name: 'fast', run: () => void ran.push('fast') },
    );
    for (let second = 0; second < 6; second++) {
      runner.tick();
      runner.tick();
      await Promise.all([runner.runNow('none'), new Promise(setImmediate)]);
      clock.advance(INTERVAL_MS);
    }
    expect(ran.filter((name) => name === 'fast')).toHaveLength(6);
    expect(ran.filter((name) => name === 'slow')).toHaveLength(2);
  });

  it('lets later callers join the round that runs', async () => {
    let started = 0;
    const { runner } = setUp({ name: 'counted', timeoutMs: 1_000, run: async () => void (started += 1) });
    await Promise.all([runner.runAllNow(), runner.runAllNow(), runner.runAllNow()]);
    expect(started).toBe(1);
    await runner.runAllNow();
    expect(started).toBe(2);
  });

  it('shows a result that nobody renewed as unknown', async () => {
    const { clock, runner } = setUp({ name: 'one' });
    await runner.runNow('one');
    clock.advance(2 * INTERVAL_MS + 20);
    expect(runner.viewOf('one')).toMatchObject({ status: 'up', stale: false });
    clock.advance(1);
    expect(runner.viewOf('one')).toMatchObject({
      status: 'unknown',
      stale: true,
      sinceMs: null,
      ageMs: 2_021,
    });
  });

  it('is not fooled by a wall clock that is set', async () => {
    const { clock, runner } = setUp({ name: 'one' });
    await runner.runNow('one');
    clock.jump(7_200_000);
    expect(runner.viewOf('one')).toMatchObject({ status: 'up', stale: false, ageMs: 0 });
  });

  it('takes a slow one, one that says so, and a Terminus result for degraded', async () => {
    const { clock, runner } = setUp(
      { name: 'slow', degradedAboveMs: 100, run: () => clock.advance(200) },
      { name: 'says', run: () => ({ degraded: true, errorCode: 'QUEUE_LATE' }) },
      { name: 'terminus', run: () => ({ other: { status: 'degraded' } }) as never },
      { name: 'terminus-down', run: () => ({ other: { status: 'down' } }) as never },
    );
    await runner.runAllNow();
    expect(runner.views().map(({ name, status, errorCode }) => [name, status, errorCode])).toEqual([
      ['says', 'degraded', 'QUEUE_LATE'],
      ['slow', 'degraded', 'SLOW'],
      ['terminus', 'degraded', 'DEGRADED'],
      ['terminus-down', 'down', 'FAILED'],
    ]);
  });

  it('notes nothing while a check cannot know', async () => {
    const run = () => {
      throw new NothingKnownError();
    };
    const { runner } = setUp({ name: 'early', run });
    await runner.runNow('early');
    expect(runner.viewOf('early')).toMatchObject({ status: 'unknown', checkedAtMs: null });
  });

  it('leaves alone what another instance checks, and takes over newer results only', async () => {
    const ran: string[] = [];
    const { clock, runner } = setUp({
      name: 'check:theirs',
      isOurs: () => false,
      run: () => void ran.push('ran'),
    });
    runner.tick();
    expect(ran).toEqual([]);
    runner.adopt('check:theirs', { ...UNSEEN, status: 'up', checkedAtMs: clock.now() }, 500);
    runner.adopt('check:theirs', { ...UNSEEN, status: 'down', checkedAtMs: clock.now() }, 900);
    expect(runner.viewOf('check:theirs')).toMatchObject({ status: 'up', ageMs: 500 });
  });

  it('holds a bounded number of checks', () => {
    const { runner } = setUp(...Array.from({ length: MAX_CHECKS }, (_, i) => ({ name: `n${i}` })));
    expect(() =>
      runner.add({
        name: 'more',
        critical: false,
        intervalMs: () => 1,
        timeoutMs: 1,
        failuresToDown: 1,
        passesToUp: 1,
        run: () => undefined,
      }),
    ).toThrow(RangeError);
  });
});
