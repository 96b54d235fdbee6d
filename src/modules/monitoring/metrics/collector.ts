import { Injectable } from '@nestjs/common';
import { Clock, EventBus, Instance, Ticker, type Tick } from '../../../core/index.js';
import { samplesOf, type TickAmounts } from './metric-catalogue.js';
import { MetricsCollected } from './metrics.events.js';
import type { MetricSample, Snapshot, TickRecord } from './metrics.types.js';
import { RequestRecorder } from './requests/request-recorder.js';
import { toRouteMinutes } from './requests/route-minutes.js';
import { SinkBuffer } from './sink-buffer.js';
import { SnapshotReader } from './snapshot-reader.js';
import { SnapshotSources } from './snapshot-sources.js';
import { TickClock } from './tick-clock.js';

export const DEFAULT_COLLECT_INTERVAL_MS = 15_000;
export const LEAST_COLLECT_INTERVAL_MS = 1_000;
const MINUTE_MS = 60_000;

/** Running totals whose growth since the last tick is what gets stored. */
interface Totals {
  readonly requests: number;
  readonly slowQueries: number | null;
  readonly cacheEvictions: number | null;
  readonly skipped: number;
  readonly dropped: number;
  readonly overflowed: number;
}

/**
 * Collects everything once per interval, on the interval's grid, and hands it over. A tick that finds
 * the one before still running is left out and counted; missed ticks are not replayed.
 */
@Injectable()
export class Collector {
  private readonly ticker: Ticker;
  private readonly minuteTicker: Ticker;
  private readonly tickClock = new TickClock();
  private intervalMs = DEFAULT_COLLECT_INTERVAL_MS;
  private sequence = 0;
  private paused = false;
  private before: Totals | undefined;
  private latestSnapshot: Snapshot | undefined;
  private latestSamples: readonly MetricSample[] = [];

  constructor(
    private readonly clock: Clock,
    private readonly instance: Instance,
    private readonly events: EventBus,
    private readonly reader: SnapshotReader,
    private readonly sources: SnapshotSources,
    private readonly recorder: RequestRecorder,
    private readonly buffer: SinkBuffer,
  ) {
    const { intervalMs } = this;
    this.ticker = new Ticker({ name: 'collect', intervalMs, aligned: true }, clock, (tick) =>
      this.collect(tick),
    );
    this.minuteTicker = new Ticker(
      { name: 'route-minutes', intervalMs: MINUTE_MS, aligned: true },
      clock,
      ({ atMs }) => this.collectRoutes(atMs - MINUTE_MS),
    );
  }

  /** The newest snapshot; there is one from the start of the application on. */
  get latest(): Snapshot {
    if (!this.latestSnapshot) throw new Error('nothing was collected yet');
    return this.latestSnapshot;
  }

  /** The newest snapshot's values, flat. */
  get samples(): readonly MetricSample[] {
    return this.latestSamples;
  }

  /** Reads once, so that there is a snapshot before the first tick. It is not stored: it has no rates yet. */
  async prime(): Promise<void> {
    await this.read(this.clock.now());
  }

  start(): void {
    if (this.paused) this.skipPause();
    this.ticker.start();
    this.minuteTicker.start();
  }

  /** Stops collecting, when the tick under way has ended; requests are counted on. */
  async stop(): Promise<void> {
    this.paused = true;
    await Promise.all([this.ticker.stop(), this.minuteTicker.stop()]);
  }

  /** @throws RangeError below one second */
  setInterval(intervalMs: number): void {
    if (!(intervalMs >= LEAST_COLLECT_INTERVAL_MS)) {
      throw new RangeError(`the least interval of collection is ${LEAST_COLLECT_INTERVAL_MS} ms`);
    }
    this.intervalMs = intervalMs;
    this.ticker.setInterval(intervalMs);
  }

  /** One collection. Public for tests and for whoever wants one now; `start` calls it on the grid. */
  async collect({ atMs, lateMs }: Tick): Promise<void> {
    const now = { wallMs: this.clock.now(), monotonicMs: this.clock.monotonicMs() };
    const { intervalMs, instance } = this;
    const marks = this.tickClock.marks(now, lateMs, intervalMs);
    const { snapshot, samples } = await this.read(atMs);
    const record: TickRecord = {
      atMs,
      intervalMs,
      instance: instance.id,
      bootId: instance.bootId,
      sequence: (this.sequence += 1),
      snapshot,
      samples,
      marks,
    };
    this.buffer.addTick(record);
    this.events.publish(new MetricsCollected(snapshot, atMs));
    void this.buffer.drain(); // never rejects; a slow database must not hold up the next tick
  }

  /** Writes the minute that is not over and all that waits; the last act before the database closes. */
  async flush(): Promise<void> {
    await this.stop();
    await this.collectRoutes(Math.floor(this.clock.now() / MINUTE_MS) * MINUTE_MS);
    await this.buffer.drain();
    await this.buffer.drain(); // what came while a drain was already under way
  }

  /** Hours of requests are not one minute's, nor is what happened in them one tick's. */
  private skipPause(): void {
    this.paused = false;
    this.recorder.drain();
    if (!this.before) return;
    const { total: requests, overflowed } = this.recorder;
    this.before = { ...this.before, requests, overflowed, slowQueries: null, cacheEvictions: null };
  }

  private async collectRoutes(minuteStartMs: number): Promise<void> {
    const rows = await toRouteMinutes(this.recorder.drain());
    if (rows.length === 0) return;
    this.buffer.addRouteMinute({
      instance: this.instance.id,
      bootId: this.instance.bootId,
      minuteStartMs,
      rows,
    });
    void this.buffer.drain();
  }

  private async read(atMs: number): Promise<{ snapshot: Snapshot; samples: MetricSample[] }> {
    const startedMs = this.clock.monotonicMs();
    const { snapshot, ownBusiness } = await this.reader.read(atMs);
    const totals = this.totals(snapshot);
    const amounts = amountsBetween(this.before, totals);
    const samples = [
      ...samplesOf(snapshot, amounts, ownBusiness),
      ...(await this.sources.furtherSamples()),
      ...this.selfSamples(totals, this.clock.monotonicMs() - startedMs),
    ];
    this.before = totals;
    this.latestSnapshot = snapshot;
    this.latestSamples = samples;
    return { snapshot, samples };
  }

  private totals({ requests, database, cache }: Snapshot): Totals {
    return {
      requests: requests.total,
      slowQueries: database?.slowQueries ?? null,
      cacheEvictions: cache?.evictions ?? null,
      skipped: this.ticker.skipped,
      dropped: this.buffer.dropped,
      overflowed: this.recorder.overflowed,
    };
  }

  /** How the watch itself is doing. */
  private selfSamples(now: Totals, durationMs: number): MetricSample[] {
    const amount = (key: 'skipped' | 'dropped' | 'overflowed') => now[key] - (this.before?.[key] ?? 0);
    const values: Record<string, number> = {
      'vigia.collect_duration_ms': durationMs,
      'vigia.collect_skipped': amount('skipped'),
      'vigia.dropped_records': amount('dropped'),
      'vigia.buffered_records': this.buffer.size,
      'vigia.overflow_requests': amount('overflowed'),
    };
    return Object.entries(values).map(([name, value]) => ({ name, labels: {}, value }));
  }
}

/** These totals live in this process and only grow; the first reading has nothing to be compared with. */
function amountsBetween(before: Totals | undefined, now: Totals): TickAmounts {
  const amount = (key: keyof TickAmounts) => {
    const [earlier, later] = [before?.[key], now[key]];
    return earlier == null || later == null ? null : Math.max(0, later - earlier);
  };
  return {
    requests: amount('requests'),
    slowQueries: amount('slowQueries'),
    cacheEvictions: amount('cacheEvictions'),
  };
}
