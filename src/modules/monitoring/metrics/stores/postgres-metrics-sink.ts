import { Injectable } from '@nestjs/common';
import { createHash } from 'node:crypto';
import { Database } from '../../../../core/index.js';
import { MetricsSink } from '../metrics-sink.port.js';
import type { MetricDefinition, MetricSample, RouteMinute, Snapshot, TickRecord } from '../metrics.types.js';
import { ALL_ROUTES, mergeRoutes } from '../rollup/routes.js';
import { ROUTE_COLUMNS, routeParameters } from './route-columns.js';
import { SeriesDictionary } from './series-dictionary.js';

export const SERIES_OVERFLOW: MetricDefinition = {
  name: 'vigia.series_overflow',
  unit: 'count',
  kind: 'gauge',
  merge: 'sum',
  description: 'Samples of a tick that were dropped because the number of series is at its limit',
};

const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;
/** A method of a hostile client is free text; these lengths are the columns'. */
const MAX_METHOD = 16;
const MAX_ROUTE = 512;
/** Below this a number in a `real` column is zero; PostgreSQL refuses it rather than rounding. */
const LEAST_REAL = 1.2e-38;
const MOST_REAL = 3.4e38;

/** Keeps ticks and route minutes in PostgreSQL, each together with the note that its roll-ups are due. */
@Injectable()
export class PostgresMetricsSink extends MetricsSink {
  constructor(
    private readonly database: Database,
    private readonly series: SeriesDictionary,
  ) {
    super();
  }

  /**
   * One statement writes the tick. The queue's row is updated even when it exists: that locks it, so
   * the roll-up that takes it either sees this tick or leaves the row for its next run.
   */
  async store(record: TickRecord): Promise<void> {
    const { atMs, instance, bootId, sequence, intervalMs, marks, snapshot } = record;
    const readings = await this.readingsOf(record.samples);
    await this.database.execute(STORE_TICK, [
      ...[new Date(atMs), instance, bootId, intervalMs],
      ...[toInteger(marks.lateMs), toInteger(marks.clockJumpMs), readings, JSON.stringify(snapshot)],
      ...[new Date(atMs - mod(atMs, MINUTE_MS)), sequence],
    ]);
  }

  async storeRouteMinutes(
    instance: string,
    minuteStartMs: number,
    rows: readonly RouteMinute[],
    bootId: string,
  ): Promise<void> {
    if (rows.length === 0) return;
    const named = rows.map((row) => ({
      ...row,
      method: row.method.slice(0, MAX_METHOD),
      route: row.route.slice(0, MAX_ROUTE),
    }));
    // The sum of all routes is stored besides: a curve of p95 over a day then reads 1,440 sketches, not 20 times that.
    const all = mergeRoutes(named, ALL_ROUTES);
    await this.database.execute(STORE_ROUTES, [
      ...[new Date(minuteStartMs), new Date(minuteStartMs - mod(minuteStartMs, HOUR_MS)), instance, bootId],
      ...[digestOf(named), ...routeParameters([...named, all])],
    ]);
  }

  async latest(instance: string): Promise<Snapshot | null> {
    const rows = await this.database.query<{ snapshot: Snapshot }>(
      'SELECT snapshot FROM vigia.system_metrics WHERE instance = $1 ORDER BY at DESC, sequence DESC LIMIT 1',
      [instance],
      { readOnly: true },
    );
    return rows[0]?.snapshot ?? null;
  }

  /** The samples by the number of their series, and how many found no number. */
  private async readingsOf(samples: readonly MetricSample[]): Promise<(number | null)[]> {
    const named = [
      { name: SERIES_OVERFLOW.name, labels: {}, value: 0 },
      ...samples.filter(({ value }) => Number.isFinite(value)),
    ];
    const ids = await this.series.idsOf(named);
    const readings = new Array<number | null>(Math.max(0, ...ids.map((id) => id ?? 0))).fill(null);
    ids.forEach((id, i) => {
      if (id !== null) readings[id - 1] = toReal(named[i]?.value ?? 0);
    });
    const [own] = ids;
    if (own) readings[own - 1] = ids.filter((id) => id === null).length;
    return readings;
  }
}

const STORE_TICK = `
  WITH due AS (
    INSERT INTO vigia.metric_rollup_queue AS q (kind, bucket, instance)
    VALUES ('minute', $9::timestamptz, $2::text)
    ON CONFLICT (kind, bucket, instance) DO UPDATE SET instance = excluded.instance)
  INSERT INTO vigia.system_metrics (at, instance, boot_id, interval_ms, late_ms, clock_jump_ms, readings, snapshot, sequence)
  VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $10)
  ON CONFLICT (at, instance, boot_id, sequence) DO NOTHING`;

const STORE_ROUTES = `
  WITH due AS (
    INSERT INTO vigia.metric_rollup_queue AS q (kind, bucket, instance)
    VALUES ('routes', $2::timestamptz, $3::text)
    ON CONFLICT (kind, bucket, instance) DO UPDATE SET instance = excluded.instance)
  INSERT INTO vigia.request_minutes (bucket, instance, boot_id, digest, ${ROUTE_COLUMNS.names})
  SELECT $1, $3, $4, $5, * FROM ${ROUTE_COLUMNS.unnest(6)}
  ON CONFLICT (bucket, instance, boot_id, digest, method, route) DO NOTHING`;

/**
 * Tells a minute that is written twice from another one of the same name, which there is when the
 * clock was set back: sums and histograms of microseconds are not the same twice.
 */
function digestOf(rows: readonly RouteMinute[]): string {
  const hash = createHash('sha256');
  for (const { sketch, ...counts } of rows) hash.update(JSON.stringify(counts)).update(sketch);
  return hash.digest('base64url').slice(0, 24);
}

/** A value as a `real` column can hold it. */
function toReal(value: number): number {
  if (Math.abs(value) < LEAST_REAL) return 0;
  return Math.min(MOST_REAL, Math.max(-MOST_REAL, value));
}

function toInteger(ms: number): number {
  return Math.round(Math.min(2 ** 31 - 1, Math.max(-(2 ** 31), ms)));
}

/** The remainder that stays positive before 1970 as well. */
function mod(ms: number, unit: number): number {
  return ((ms % unit) + unit) % unit;
}
