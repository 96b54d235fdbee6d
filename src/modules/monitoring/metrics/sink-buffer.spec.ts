import { Logger } from '@nestjs/common';
import { DependencyUnavailableError } from '../../../core/index.js';
import { MetricsSink } from './metrics-sink.port.js';
import type { RouteMinute, Snapshot, TickRecord } from './metrics.types.js';
import { MAX_BUFFERED_MINUTES, MAX_BUFFERED_TICKS, SinkBuffer } from './sink-buffer.js';

/** A database that can go away, or refuse single records. */
class SwitchableSink extends MetricsSink {
  readonly ticks: number[] = [];
  readonly minutes: number[] = [];
  away = false;
  refused: number | undefined;
  /** SQLSTATE that the server answers to everything. */
  sqlState: string | undefined;

  async store({ atMs }: TickRecord): Promise<void> {
    if (this.away) throw new DependencyUnavailableError('PostgreSQL');
    if (this.sqlState) throw Object.assign(new Error('server'), { code: this.sqlState });
    if (atMs === this.refused) throw new Error('value out of range');
    this.ticks.push(atMs);
  }

  async storeRouteMinutes(_: string, minuteStartMs: number, _rows: readonly RouteMinute[]): Promise<void> {
    if (this.away) throw new DependencyUnavailableError('PostgreSQL');
    this.minutes.push(minuteStartMs);
  }

  async latest(): Promise<Snapshot | null> {
    return null;
  }
}

const tick = (atMs: number) => ({ atMs }) as TickRecord;
const minute = (minuteStartMs: number) => ({ instance: 'a', bootId: 'b', minuteStartMs, rows: [] });
const range = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i);

function setUp() {
  const sink = new SwitchableSink();
  return { sink, buffer: new SinkBuffer(sink) };
}

beforeAll(() => Logger.overrideLogger(false));

describe(SinkBuffer.name, () => {
  it('loses nothing of an outage up to the cap, and stores it in order afterwards', async () => {
    const { sink, buffer } = setUp();
    sink.away = true;
    for (const at of range(0, MAX_BUFFERED_TICKS)) {
      buffer.addTick(tick(at));
      await buffer.drain();
    }
    for (const at of range(0, MAX_BUFFERED_MINUTES)) buffer.addRouteMinute(minute(at));
    expect(buffer.size).toBe(MAX_BUFFERED_TICKS + MAX_BUFFERED_MINUTES);
    sink.away = false;
    await buffer.drain();
    expect(sink.ticks).toEqual(range(0, MAX_BUFFERED_TICKS));
    expect(sink.minutes).toEqual(range(0, MAX_BUFFERED_MINUTES));
    expect([buffer.size, buffer.dropped]).toEqual([0, 0]);
  });

  it('gives up the oldest beyond the cap, and counts them', async () => {
    const { sink, buffer } = setUp();
    sink.away = true;
    for (const at of range(0, MAX_BUFFERED_TICKS + 3)) buffer.addTick(tick(at));
    for (const at of range(0, MAX_BUFFERED_MINUTES + 2)) buffer.addRouteMinute(minute(at));
    sink.away = false;
    await buffer.drain();
    expect(sink.ticks[0]).toBe(3);
    expect(sink.minutes[0]).toBe(2);
    expect(buffer.dropped).toBe(5);
  });

  it('writes one record at a time, however often it is told to', async () => {
    const { sink, buffer } = setUp();
    for (const at of range(0, 5)) buffer.addTick(tick(at));
    await Promise.all([buffer.drain(), buffer.drain(), buffer.drain()]);
    expect(sink.ticks).toEqual([0, 1, 2, 3, 4]);
  });

  it('lets one record that the database will never take not hold up the others for ever', async () => {
    const { sink, buffer } = setUp();
    sink.refused = 1;
    for (const at of range(0, 3)) buffer.addTick(tick(at));
    await buffer.drain();
    expect(sink.ticks).toEqual([0]);
    await buffer.drain();
    await buffer.drain();
    expect(sink.ticks).toEqual([0, 2]);
    expect(buffer.dropped).toBe(1);
  });

  it.each([
    ['the disk is full', '53100'],
    ['memory is short', '53200'],
    ['a statement is cancelled', '57014'],
    ['the server cannot read a file', '58030'],
    ['it has become a read-only standby', '25006'],
  ])('loses nothing while %s', async (_, sqlState) => {
    const { sink, buffer } = setUp();
    sink.sqlState = sqlState;
    for (const at of range(0, 10)) {
      buffer.addTick(tick(at));
      await buffer.drain();
    }
    sink.sqlState = undefined;
    await buffer.drain();
    expect(sink.ticks).toEqual(range(0, 10));
    expect(buffer.dropped).toBe(0);
  });

  it.each(['22003', '23514'])('gives up what the database refuses as data, by %s', async (sqlState) => {
    const { sink, buffer } = setUp();
    sink.sqlState = sqlState;
    buffer.addTick(tick(0));
    for (let i = 0; i < 3; i++) await buffer.drain();
    expect([buffer.size, buffer.dropped]).toEqual([0, 1]);
  });

  it('does not drop a newer record for one that made place while it was being written', async () => {
    const { sink, buffer } = setUp();
    let finish: () => void = () => undefined;
    jest.spyOn(sink, 'store').mockImplementationOnce(() => new Promise((resolve) => (finish = resolve)));
    buffer.addTick(tick(0));
    const draining = buffer.drain();
    for (const at of range(1, MAX_BUFFERED_TICKS + 1)) buffer.addTick(tick(at));
    finish();
    await draining;
    expect(sink.ticks[0]).toBe(1);
    expect(sink.ticks).toHaveLength(MAX_BUFFERED_TICKS);
  });
});
