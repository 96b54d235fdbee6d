import { Injectable } from '@nestjs/common';
import { Database, Leases, type Lease, type Queryable } from '../../../../core/index.js';
import type { RouteMinute } from '../metrics.types.js';
import { ROUTE_COLUMNS, routeParameters, toRouteMinute, type RouteRow } from '../stores/route-columns.js';
import { ALL_ROUTES, hourOfRoutes } from './routes.js';

/** What is due: `minute` from ticks, `hour` from minutes, `business` hours from samples, `routes` hours from sketches. */
export type RollupKind = 'minute' | 'hour' | 'business' | 'routes';

interface Bucket {
  readonly bucket: Date;
  readonly instance: string;
}

/** A batch of roll-ups may take this long; its transaction is undone beyond. */
const BATCH_TIMEOUT_MS = 10_000;

/**
 * Makes coarse rows from fine ones. A bucket that is due is a row of `metric_rollup_queue`, written in
 * the transaction of the sample that makes it due; a roll-up takes the row and computes the bucket
 * anew from all its samples in one transaction. So a crash, a restart, two boots in one minute and a
 * late sample need no special case, and running twice gives the same rows.
 */
@Injectable()
export class RollupStore {
  constructor(
    private readonly database: Database,
    private readonly leases: Leases,
  ) {}

  /**
   * Rolls up to `limit` due buckets that begin at or before `beforeMs`, oldest first.
   * @returns how many there were
   * @throws LeaseLostError when another instance has taken over; nothing is changed then
   */
  async roll(kind: RollupKind, lease: Lease, beforeMs: number, limit: number): Promise<number> {
    return this.database.transaction(
      async (tx) => {
        await this.leases.assertHeld(tx, lease);
        const due = await takeDue(tx, kind, beforeMs, limit);
        if (due.length > 0) await ROLL[kind](tx, due);
        return due.length;
      },
      { timeoutMs: BATCH_TIMEOUT_MS },
    );
  }
}

/**
 * A statement of its own: the next one then has a snapshot that holds every sample whose transaction
 * this one waited for.
 */
async function takeDue(tx: Queryable, kind: RollupKind, beforeMs: number, limit: number): Promise<Bucket[]> {
  // Materialized, because a planner that repeats the subquery would take more than the limit.
  return tx.query<{ bucket: Date; instance: string }>(
    `WITH due AS MATERIALIZED (
       SELECT bucket, instance FROM vigia.metric_rollup_queue
       WHERE kind = $1 AND bucket <= $2 ORDER BY bucket, instance LIMIT $3 FOR UPDATE)
     DELETE FROM vigia.metric_rollup_queue AS q USING due
     WHERE q.kind = $1 AND q.bucket = due.bucket AND q.instance = due.instance
     RETURNING q.bucket, q.instance`,
    [kind, new Date(beforeMs), limit],
  );
}

const ROLL: Readonly<Record<RollupKind, (tx: Queryable, due: readonly Bucket[]) => Promise<void>>> = {
  minute: rollMinutes,
  hour: rollHours,
  business: rollBusinessHours,
  routes: rollRouteHours,
};

const DUE = 'unnest($1::timestamptz[], $2::text[]) AS due(bucket, instance)';

/** One row of arrays per bucket from one row per series; `parts` must hold every position up to the last. */
const INTO_ARRAYS = (counts: string) => `
  bucket, instance, max(ticks), array_agg(lo::real ORDER BY id), array_agg(mean::real ORDER BY id),
  array_agg(hi::real ORDER BY id), array_agg(nullif(n, 0)::${counts} ORDER BY id)
  FROM parts GROUP BY bucket, instance`;

/** A bucket is never replaced by one of fewer ticks: some of its ticks have been removed by age since. */
const REPLACE = `
  ON CONFLICT (bucket, instance) DO UPDATE
  SET ticks = excluded.ticks, mins = excluded.mins, avgs = excluded.avgs, maxs = excluded.maxs, counts = excluded.counts
  WHERE excluded.ticks >= rolled.ticks`;

async function rollMinutes(tx: Queryable, due: readonly Bucket[]): Promise<void> {
  await tx.execute(
    `WITH ticks AS MATERIALIZED (
       SELECT due.bucket, due.instance, tick.readings, count(*) OVER (PARTITION BY due.bucket, due.instance) AS ticks
       FROM ${DUE}
       JOIN vigia.system_metrics AS tick ON tick.instance = due.instance
        AND tick.at >= due.bucket AND tick.at < due.bucket + interval '1 minute'),
     parts AS (
       SELECT bucket, instance, max(ticks) AS ticks, id,
              min(value) AS lo, avg(value) AS mean, max(value) AS hi, count(value) AS n
       FROM ticks CROSS JOIN LATERAL unnest(readings) WITH ORDINALITY AS reading(value, id)
       GROUP BY bucket, instance, id)
     INSERT INTO vigia.metric_minutes AS rolled (bucket, instance, ticks, mins, avgs, maxs, counts)
     SELECT ${INTO_ARRAYS('smallint')} ${REPLACE}`,
    parameters(due),
  );
  await tx.execute(
    `INSERT INTO vigia.metric_rollup_queue AS q (kind, bucket, instance)
     SELECT DISTINCT 'hour', date_bin('1 hour', bucket, 'epoch'), instance FROM ${DUE}
     ON CONFLICT (kind, bucket, instance) DO UPDATE SET instance = excluded.instance`,
    parameters(due),
  );
}

async function rollHours(tx: Queryable, due: readonly Bucket[]): Promise<void> {
  await tx.execute(
    `WITH minutes AS MATERIALIZED (
       SELECT due.bucket, due.instance, mins, avgs, maxs, counts,
              sum(minute.ticks) OVER (PARTITION BY due.bucket, due.instance) AS ticks
       FROM ${DUE}
       JOIN vigia.metric_minutes AS minute ON minute.instance = due.instance
        AND minute.bucket >= due.bucket AND minute.bucket < due.bucket + interval '1 hour'),
     parts AS (
       SELECT bucket, instance, max(ticks) AS ticks, id,
              min(lo) AS lo, sum(mean::float8 * n) / nullif(sum(n), 0) AS mean, max(hi) AS hi, sum(n) AS n
       FROM minutes CROSS JOIN LATERAL unnest(mins, avgs, maxs, counts) WITH ORDINALITY AS minute(lo, mean, hi, n, id)
       GROUP BY bucket, instance, id)
     INSERT INTO vigia.metric_hours AS rolled (bucket, instance, ticks, mins, avgs, maxs, counts)
     SELECT ${INTO_ARRAYS('integer')} ${REPLACE}`,
    parameters(due),
  );
}

/** Values too small for `real` become zero, values too large its greatest: the samples keep them exactly. */
const FITTING = (value: string) =>
  `CASE WHEN abs(${value}) < 1.2e-38 THEN 0 ELSE least(greatest(${value}, -3.4e38), 3.4e38) END`;

async function rollBusinessHours(tx: Queryable, due: readonly Bucket[]): Promise<void> {
  await tx.execute(
    `WITH sums AS MATERIALIZED (
       SELECT due.bucket, sample.series_id AS id, min(value) AS lo, avg(value) AS mean, max(value) AS hi, count(*) AS n
       FROM ${DUE}
       CROSS JOIN vigia.metric_series AS series
       JOIN vigia.business_samples AS sample ON sample.series_id = series.id
        AND sample.at >= due.bucket AND sample.at < due.bucket + interval '1 hour'
       WHERE series.business
       GROUP BY due.bucket, sample.series_id),
     positions AS (
       SELECT bucket, sum(n) AS ticks, generate_series(1, max(id)) AS id FROM sums GROUP BY bucket),
     parts AS (
       SELECT bucket, '' AS instance, ticks, id, ${FITTING('lo')} AS lo, ${FITTING('mean')} AS mean, ${FITTING('hi')} AS hi, n
       FROM positions LEFT JOIN sums USING (bucket, id))
     INSERT INTO vigia.metric_hours AS rolled (bucket, instance, ticks, mins, avgs, maxs, counts)
     SELECT ${INTO_ARRAYS('integer')} ${REPLACE}`,
    parameters(due),
  );
}

async function rollRouteHours(tx: Queryable, due: readonly Bucket[]): Promise<void> {
  for (const { bucket, instance } of due) {
    const minutes = await tx.query<RouteRow>(
      `SELECT ${ROUTE_COLUMNS.names} FROM vigia.request_minutes
       WHERE bucket >= $1 AND bucket < $1::timestamptz + interval '1 hour' AND instance = $2`,
      [bucket, instance],
    );
    await replaceRouteHour(tx, bucket, instance, await hourOfRoutes(minutes.map(toRouteMinute)));
  }
}

async function replaceRouteHour(
  tx: Queryable,
  bucket: Date,
  instance: string,
  rows: readonly RouteMinute[],
): Promise<void> {
  const all = rows.find(({ route }) => route === ALL_ROUTES.route);
  // As for ticks: an hour is not replaced by one that has lost minutes to age.
  const fuller = await tx.query(
    'SELECT 1 FROM vigia.request_hours WHERE bucket = $1 AND instance = $2 AND route = $3 AND requests > $4',
    [bucket, instance, ALL_ROUTES.route, all?.requests ?? 0],
  );
  if (fuller.length > 0 || rows.length === 0) return;
  await tx.execute('DELETE FROM vigia.request_hours WHERE bucket = $1 AND instance = $2', [bucket, instance]);
  await tx.execute(
    `INSERT INTO vigia.request_hours (bucket, instance, ${ROUTE_COLUMNS.names})
     SELECT $1, $2, * FROM ${ROUTE_COLUMNS.unnest(3)}`,
    [bucket, instance, ...routeParameters(rows)],
  );
}

function parameters(due: readonly Bucket[]): unknown[] {
  return [due.map(({ bucket }) => bucket), due.map(({ instance }) => instance)];
}
