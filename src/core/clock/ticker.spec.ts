import { Logger } from '@nestjs/common';
import { FakeClock } from '../../../test/support/fake-clock.js';
import { Ticker, type Tick } from './ticker.js';

/** Moves jest's timers and the fake clock together. */
async function advance(clock: FakeClock, ms: number, stepMs = 10): Promise<void> {
  for (let done = 0; done < ms; done += stepMs) {
    clock.advance(stepMs);
    await jest.advanceTimersByTimeAsync(stepMs);
  }
}

describe(Ticker.name, () => {
  beforeEach(() => jest.useFakeTimers());
  afterEach(() => jest.useRealTimers());

  it('ticks on the grid that all instances share, each point once', async () => {
    const clock = new FakeClock();
    clock.advance(3_210);
    const ticks: Tick[] = [];
    const ticker = new Ticker(
      { name: 't', intervalMs: 1_000, aligned: true },
      clock,
      (tick) => void ticks.push(tick),
    );
    ticker.start();
    await advance(clock, 5_000);
    await ticker.stop();
    expect(ticks.map(({ atMs }) => atMs % 1_000)).toEqual([0, 0, 0, 0, 0]);
    expect(new Set(ticks.map(({ atMs }) => atMs)).size).toBe(5);
  });

  it('skips and counts the ticks that find their predecessor running', async () => {
    const clock = new FakeClock();
    let release = () => {};
    let runs = 0;
    const ticker = new Ticker({ name: 't', intervalMs: 100 }, clock, () => {
      runs += 1;
      return new Promise<void>((resolve) => (release = resolve));
    });
    ticker.start();
    await advance(clock, 350);
    expect({ runs, skipped: ticker.skipped }).toEqual({ runs: 1, skipped: 2 });
    release();
    await advance(clock, 100);
    expect(runs).toBe(2);
    release();
    await ticker.stop();
  });

  it('does not replay what was missed while the machine slept', async () => {
    const clock = new FakeClock();
    const ticks: Tick[] = [];
    const ticker = new Ticker(
      { name: 't', intervalMs: 1_000, aligned: true },
      clock,
      (tick) => void ticks.push(tick),
    );
    ticker.start();
    await advance(clock, 1_000);
    clock.advance(3_600_000); // an hour passes that timers do not see
    await advance(clock, 2_000);
    await ticker.stop();
    expect(ticks.length).toBeLessThanOrEqual(4);
    expect(ticks.some(({ lateMs }) => lateMs > 3_000_000)).toBe(true);
  });

  it('labels a late tick with the grid point that has passed, not with one to come', async () => {
    const clock = new FakeClock();
    const ticks: Tick[] = [];
    const ticker = new Ticker(
      { name: 't', intervalMs: 1_000, aligned: true },
      clock,
      (tick) => void ticks.push(tick),
    );
    ticker.start();
    clock.advance(800); // the loop was blocked: the timer fires 800 ms late
    await advance(clock, 1_000);
    await ticker.stop();
    expect(ticks[0]!.atMs).toBeLessThanOrEqual(clock.now());
    expect(ticks[0]).toMatchObject({ lateMs: 800 });
  });

  it('goes on after a failure and says it once', async () => {
    const error = jest.spyOn(Logger.prototype, 'error').mockImplementation(() => undefined);
    const log = jest.spyOn(Logger.prototype, 'log').mockImplementation(() => undefined);
    const clock = new FakeClock();
    let runs = 0;
    const ticker = new Ticker({ name: 't', intervalMs: 100 }, clock, () => {
      runs += 1;
      if (runs <= 3) throw new Error('away');
    });
    ticker.start();
    await advance(clock, 500);
    await ticker.stop();
    expect(runs).toBeGreaterThanOrEqual(4);
    expect(error).toHaveBeenCalledTimes(1);
    expect(log).toHaveBeenCalledWith(expect.stringContaining('after 3 that failed'));
    jest.restoreAllMocks();
  });

  it('takes a new interval at once', async () => {
    const clock = new FakeClock();
    let runs = 0;
    const ticker = new Ticker({ name: 't', intervalMs: 60_000 }, clock, () => void (runs += 1));
    ticker.start();
    ticker.setInterval(100);
    await advance(clock, 350);
    await ticker.stop();
    expect(runs).toBe(3);
  });
});
