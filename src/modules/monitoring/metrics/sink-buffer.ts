import { Injectable, Logger } from '@nestjs/common';
import { DependencyUnavailableError } from '../../../core/index.js';
import { MetricsSink } from './metrics-sink.port.js';
import type { RouteMinute, TickRecord } from './metrics.types.js';

/** Ticks kept while the database is away: 10 minutes at the least interval of 1 s, 2.5 hours at 15 s. */
export const MAX_BUFFERED_TICKS = 600;
/** Minutes of route latencies kept while the database is away; one of 100 routes holds about 100 kB. */
export const MAX_BUFFERED_MINUTES = 60;
/** A record that the database refuses so often, though it is there, would hold up all the others for ever. */
const MAX_REFUSALS = 3;

export interface RouteMinuteBatch {
  readonly instance: string;
  readonly bootId: string;
  readonly minuteStartMs: number;
  readonly rows: readonly RouteMinute[];
}

/** A queue of one kind of record, bounded, with the way to write its first. */
interface Lane<T> {
  readonly kind: string;
  readonly max: number;
  readonly records: T[];
  readonly write: (record: T) => Promise<void>;
  refusals: number;
}

/**
 * Hands records to the sink one at a time and in order, and keeps what the sink cannot take just now.
 * Nothing is lost up to the caps above; beyond them the oldest record makes place and is counted.
 */
@Injectable()
export class SinkBuffer {
  private readonly logger = new Logger(SinkBuffer.name);
  private readonly ticks: Lane<TickRecord>;
  private readonly minutes: Lane<RouteMinuteBatch>;
  private draining: Promise<void> | undefined;
  private away = false;
  /** Records given up since the start. */
  dropped = 0;

  constructor(sink: MetricsSink) {
    this.ticks = {
      kind: 'tick',
      max: MAX_BUFFERED_TICKS,
      records: [],
      write: (tick) => sink.store(tick),
      refusals: 0,
    };
    this.minutes = {
      kind: 'route minute',
      max: MAX_BUFFERED_MINUTES,
      records: [],
      write: ({ instance, minuteStartMs, rows, bootId }) =>
        sink.storeRouteMinutes(instance, minuteStartMs, rows, bootId),
      refusals: 0,
    };
  }

  /** Records that wait. */
  get size(): number {
    return this.ticks.records.length + this.minutes.records.length;
  }

  addTick(tick: TickRecord): void {
    this.add(this.ticks, tick);
  }

  addRouteMinute(batch: RouteMinuteBatch): void {
    this.add(this.minutes, batch);
  }

  /** Writes what waits, until all is written or the sink cannot take more. Never rejects. */
  async drain(): Promise<void> {
    this.draining ??= this.drainAll().finally(() => {
      this.draining = undefined;
    });
    await this.draining;
  }

  private add<T>(lane: Lane<T>, record: T): void {
    if (lane.records.length >= lane.max) {
      lane.records.shift();
      this.dropped += 1;
    }
    lane.records.push(record);
  }

  private async drainAll(): Promise<void> {
    if (await this.drainLane(this.ticks)) await this.drainLane(this.minutes);
  }

  /** @returns whether the sink could be reached */
  private async drainLane<T>(lane: Lane<T>): Promise<boolean> {
    for (let record = lane.records[0]; record !== undefined; record = lane.records[0]) {
      try {
        await lane.write(record);
        this.written(lane, record);
      } catch (error) {
        if (!this.mayGoOn(lane, record, error as Error)) return false;
      }
    }
    return true;
  }

  private written<T>(lane: Lane<T>, record: T): void {
    lane.refusals = 0;
    remove(lane, record);
    if (this.away) this.logger.log('metrics are stored again');
    this.away = false;
  }

  private mayGoOn<T>(lane: Lane<T>, record: T, error: Error): boolean {
    if (isAway(error)) {
      if (!this.away)
        this.logger.warn(`metrics are kept in memory, the database takes none: ${error.message}`);
      this.away = true;
      return false;
    }
    lane.refusals += 1;
    if (lane.refusals < MAX_REFUSALS) return false;
    this.logger.error(
      `a ${lane.kind} was refused ${MAX_REFUSALS} times and is given up: ${error.message}`,
      error.stack,
    );
    lane.refusals = 0;
    this.dropped += 1;
    remove(lane, record);
    return true;
  }
}

/** Not our record is at fault but the server: a full disk, too little memory, shutting down, read only. */
const SERVER_AT_FAULT = /^(53|57|58)...$|^25006$/;

function isAway(error: Error): boolean {
  if (error instanceof DependencyUnavailableError) return true;
  return 'code' in error && typeof error.code === 'string' && SERVER_AT_FAULT.test(error.code);
}

/** While it was being written the record may have been dropped from a full lane. */
function remove<T>({ records }: Lane<T>, record: T): void {
  if (records[0] === record) records.shift();
}
