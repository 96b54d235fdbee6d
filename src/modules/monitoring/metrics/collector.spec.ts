import { FakeClock } from '../../../../test/support/fake-clock.js';
import { snapshotFixture } from '../../../../test/support/metrics-fixtures.js';
import { EventBus, Instance } from '../../../core/index.js';
import { Collector } from './collector.js';
import { MetricsSink } from './metrics-sink.port.js';
import { MetricsCollected } from './metrics.events.js';
import type { RouteMinute, Snapshot, TickRecord } from './metrics.types.js';
import { RequestRecorder } from './requests/request-recorder.js';
import { SinkBuffer } from './sink-buffer.js';
import type { SnapshotReader } from './snapshot-reader.js';
import { SnapshotSources } from './snapshot-sources.js';

class RecordingSink extends MetricsSink {
  readonly ticks: TickRecord[] = [];
  readonly minutes: { startMs: number; rows: readonly RouteMinute[]; bootId: string }[] = [];

  async store(record: TickRecord): Promise<void> {
    this.ticks.push(record);
  }

  async storeRouteMinutes(
    _: string,
    startMs: number,
    rows: readonly RouteMinute[],
    bootId: string,
  ): Promise<void> {
    this.minutes.push({ startMs, rows, bootId });
  }

  async latest(): Promise<Snapshot | null> {
    return null;
  }
}

/** Reads as long as it is told to. */
class SlowReader {
  blocked: Promise<void> | undefined;
  slowQueries = 4;
  reads = 0;

  async read(atMs: number): ReturnType<SnapshotReader['read']> {
    this.reads += 1;
    await this.blocked;
    const fixture = snapshotFixture();
    const database = { ...fixture.database!, slowQueries: this.slowQueries };
    return { snapshot: { ...fixture, at: new Date(atMs).toISOString(), database }, ownBusiness: {} };
  }
}

const GRID = Date.UTC(2026, 0, 15, 10, 0, 0);

function setUp() {
  const clock = new FakeClock();
  const sink = new RecordingSink();
  const reader = new SlowReader();
  const recorder = new RequestRecorder(clock);
  const buffer = new SinkBuffer(sink);
  const events = new EventBus();
  const instance = new Instance('a', 'boot-1', clock.now());
  const collector = new Collector(
    ...([clock, instance, events, reader as unknown as SnapshotReader] as const),
    ...([new SnapshotSources(), recorder, buffer] as const),
  );
  const sample = (name: string) => sink.ticks.at(-1)?.samples.find((one) => one.name === name)?.value;
  return { clock, sink, reader, recorder, buffer, events, collector, sample };
}

describe(Collector.name, () => {
  afterEach(() => jest.useRealTimers());

  it('stores each tick at its point of the grid, with the boot it belongs to, and announces it', async () => {
    const { sink, collector, events } = setUp();
    const announced: MetricsCollected[] = [];
    events.on(MetricsCollected, (event) => void announced.push(event));
    await collector.collect({ atMs: GRID, lateMs: 3 });
    expect(sink.ticks[0]).toMatchObject({ atMs: GRID, instance: 'a', bootId: 'boot-1', intervalMs: 15_000 });
    expect(sink.ticks[0]?.marks).toEqual({ lateMs: 0, clockJumpMs: 0 });
    expect(announced).toEqual([new MetricsCollected(collector.latest, GRID)]);
  });

  it('marks a tick after the wall clock was set', async () => {
    const { clock, sink, collector } = setUp();
    await collector.collect({ atMs: GRID, lateMs: 0 });
    clock.advance(15_000);
    clock.jump(120_000);
    await collector.collect({ atMs: GRID + 135_000, lateMs: 120_000 });
    expect(sink.ticks[1]?.marks).toEqual({ lateMs: 0, clockJumpMs: 120_000 });
  });

  it('leaves out a tick whose predecessor still runs, counts it, and never stacks', async () => {
    jest.useFakeTimers({ now: GRID });
    const { clock, reader, sink, collector, sample } = setUp();
    jest.spyOn(clock, 'now').mockImplementation(() => Date.now());
    let release: () => void = () => undefined;
    reader.blocked = new Promise((resolve) => (release = resolve));
    collector.setInterval(1_000);
    collector.start();
    await jest.advanceTimersByTimeAsync(4_000);
    expect(reader.reads).toBe(1);
    release();
    await jest.advanceTimersByTimeAsync(0);
    expect(sink.ticks).toHaveLength(1);
    await jest.advanceTimersByTimeAsync(1_000);
    expect(sample('vigia.collect_skipped')).toBe(0); // seen by the reading that was blocked
    expect(sink.ticks[0]?.samples).toContainEqual({ name: 'vigia.collect_skipped', labels: {}, value: 3 });
    await collector.stop();
  });

  it('changes its interval while it runs, and refuses less than a second', async () => {
    jest.useFakeTimers({ now: GRID });
    const { clock, sink, collector } = setUp();
    jest.spyOn(clock, 'now').mockImplementation(() => Date.now());
    collector.start();
    await jest.advanceTimersByTimeAsync(5_000);
    expect(sink.ticks).toHaveLength(0);
    collector.setInterval(2_000);
    await jest.advanceTimersByTimeAsync(4_000);
    expect(sink.ticks.map(({ atMs }) => atMs - GRID)).toEqual([6_000, 8_000]);
    expect(sink.ticks[0]?.intervalMs).toBe(2_000);
    for (const bad of [999, 0, -1, NaN]) expect(() => collector.setInterval(bad)).toThrow(RangeError);
    await collector.stop();
  });

  it('stores amounts of one interval, not running totals; the first tick has none', async () => {
    const { reader, collector, sample } = setUp();
    await collector.collect({ atMs: GRID, lateMs: 0 });
    expect(sample('database.slow_queries')).toBeUndefined();
    reader.slowQueries = 9;
    await collector.collect({ atMs: GRID + 15_000, lateMs: 0 });
    expect(sample('database.slow_queries')).toBe(5);
    expect(collector.latest.database?.slowQueries).toBe(9);
  });

  it('is not held up by a database that hangs', async () => {
    const { sink, collector, buffer } = setUp();
    jest.spyOn(sink, 'store').mockReturnValueOnce(new Promise(() => undefined));
    for (let tick = 0; tick < 3; tick++) await collector.collect({ atMs: GRID + tick * 15_000, lateMs: 0 });
    expect(buffer.size).toBe(3);
  });

  it('hands over each full minute of the routes, and the last incomplete one at the end', async () => {
    jest.useFakeTimers({ now: GRID + 30_000, doNotFake: ['setImmediate'] });
    const { clock, sink, recorder, collector } = setUp();
    jest.spyOn(clock, 'now').mockImplementation(() => Date.now());
    const call = () => recorder.record(recorder.endpoint('GET', '/a'), 200, 5, clock.monotonicMs());
    collector.start();
    call();
    await jest.advanceTimersByTimeAsync(40_000);
    call();
    call();
    await collector.flush();
    expect(sink.minutes.map(({ startMs, rows }) => [startMs - GRID, rows[0]?.requests])).toEqual([
      [0, 1],
      [60_000, 2],
    ]);
    expect(sink.minutes[0]?.bootId).toBe('boot-1');
  });

  it('stores what was counted before a pause, and takes nothing of the pause for one minute or one tick', async () => {
    const { clock, sink, recorder, collector, reader, sample } = setUp();
    const track = (count: number) => {
      for (let i = 0; i < count; i++) recorder.trackRequest(5, false);
    };
    const requestsOf = () => sink.minutes.map(({ rows }) => rows[0]?.requests);
    await collector.collect({ atMs: GRID, lateMs: 0 });
    collector.start();
    track(3);
    await collector.flush(); // what stopping does
    expect(requestsOf()).toEqual([3]);
    track(1_000);
    reader.slowQueries += 500;
    clock.advance(3 * 3_600_000);
    collector.start();
    track(2);
    await collector.collect({ atMs: GRID + 3 * 3_600_000, lateMs: 0 });
    expect(sample('database.slow_queries')).toBeUndefined();
    await collector.flush();
    expect(requestsOf()).toEqual([3, 2]);
  });

  it('has a snapshot before the first tick, which is not stored', async () => {
    const { sink, collector } = setUp();
    await collector.prime();
    expect(collector.latest.instance).toBe('a');
    expect(sink.ticks).toEqual([]);
  });
});
