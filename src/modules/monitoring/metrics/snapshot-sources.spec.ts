import { Logger } from '@nestjs/common';
import { MAX_FURTHER_SAMPLES, MAX_GAUGES, SnapshotSources } from './snapshot-sources.js';

let warnings: jest.SpyInstance;
beforeEach(() => {
  warnings = jest.spyOn(Logger.prototype, 'warn').mockImplementation(() => undefined);
});
afterEach(() => jest.restoreAllMocks());

describe(SnapshotSources.name, () => {
  it('reads the gauges of library users, synchronous and asynchronous', async () => {
    const sources = new SnapshotSources();
    sources.registerGauge('orders.open', () => 7);
    sources.registerGauge('orders.value', async () => 12.5);
    expect(await sources.readGauges()).toEqual({ 'orders.open': 7, 'orders.value': 12.5 });
  });

  it('leaves out a gauge that throws, logs it once until it works again, and hurts no other', async () => {
    const sources = new SnapshotSources();
    let broken = true;
    sources.registerGauge('bad', () => {
      if (broken) throw new Error('boom');
      return 1;
    });
    sources.registerGauge('good', () => 2);
    for (let tick = 0; tick < 3; tick++) expect(await sources.readGauges()).toEqual({ good: 2 });
    expect(warnings).toHaveBeenCalledTimes(1);
    broken = false;
    expect(await sources.readGauges()).toEqual({ bad: 1, good: 2 });
    broken = true;
    await sources.readGauges();
    expect(warnings).toHaveBeenCalledTimes(2);
  });

  it.each([NaN, Infinity, -Infinity, null])('takes %s for no value', async (value) => {
    const sources = new SnapshotSources();
    sources.registerGauge('odd', () => value);
    expect(await sources.readGauges()).toEqual({});
  });

  it('refuses the 101st gauge and names that are no metric names; a name again replaces its reader', async () => {
    const sources = new SnapshotSources();
    for (let i = 0; i < MAX_GAUGES; i++) sources.registerGauge(`g${i}`, () => i);
    expect(() => sources.registerGauge('one_more', () => 1)).toThrow(RangeError);
    sources.registerGauge('g0', () => 42);
    expect((await sources.readGauges()).g0).toBe(42);
    for (const name of ['', 'Upper', 'a b', 'a"b', '.a', 'a.', '__proto__', 'x'.repeat(400)]) {
      expect(() => sources.registerGauge(name, () => 1)).toThrow(RangeError);
    }
  });

  it('does not wait for a source that hangs', async () => {
    jest.useFakeTimers();
    const sources = new SnapshotSources();
    sources.register('jobs', () => new Promise(() => undefined));
    const reading = sources.read('jobs');
    await jest.advanceTimersByTimeAsync(2_000);
    expect(await reading).toBeNull();
    jest.useRealTimers();
  });

  it('does not call what hangs again before its call has ended', async () => {
    jest.useFakeTimers();
    const sources = new SnapshotSources();
    let calls = 0;
    let end: (value: number) => void = () => undefined;
    sources.registerGauge('slow', () => {
      calls += 1;
      return calls === 1 ? new Promise<number>((resolve) => (end = resolve)) : calls;
    });
    const tick = async () => {
      const reading = sources.readGauges();
      await jest.advanceTimersByTimeAsync(2_000);
      return reading;
    };
    for (let i = 0; i < 3; i++) expect(await tick()).toEqual({});
    expect(calls).toBe(1);
    end(1);
    await jest.advanceTimersByTimeAsync(0);
    expect(await tick()).toEqual({ slow: 2 });
    jest.useRealTimers();
  });

  it('is null for a part that nobody knows', async () => {
    expect(await new SnapshotSources().read('cache')).toBeNull();
  });

  it('takes further samples of others, up to a bound', async () => {
    const sources = new SnapshotSources();
    const sample = { name: 'component.status', labels: { component: 'database' }, value: 0 };
    sources.registerSamples('health', () => Array.from({ length: MAX_FURTHER_SAMPLES + 1 }, () => sample));
    sources.registerSamples('broken', () => {
      throw new Error('boom');
    });
    expect(await sources.furtherSamples()).toHaveLength(MAX_FURTHER_SAMPLES);
  });
});
