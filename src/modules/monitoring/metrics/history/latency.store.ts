import { Injectable } from '@nestjs/common';
import { Database } from '../../../../core/index.js';
import type { RouteMinute } from '../metrics.types.js';
import { ROUTE_COLUMNS, toRouteMinute, type RouteRow } from '../stores/route-columns.js';
import { floorTo, type Plan } from './plan.js';
import { RangeTooWideError } from './wide-questions.js';

/** What routes did in one bucket, on one instance and boot. */
export interface RouteBucket extends RouteMinute {
  readonly bucketMs: number;
}

export interface LatencyRange {
  readonly fromMs: number;
  readonly toMs: number;
  readonly instance: string | null;
  /** Each route by itself, or only the sum of all. */
  readonly which: 'routes' | 'all';
}

/** Sketches read for one answer; at 12 µs each this is 1.2 s of work, shared with other requests. */
const MAX_SKETCHES = 100_000;
const HOUR_MS = 3_600_000;

/** What each ratio has above the line; below it are the requests. */
const RATIO_COLUMNS = {
  'requests.error_percent': '100 * server_errors',
  'requests.client_error_percent': '100 * client_errors',
  'requests.avg_response_time_ms': 'sum_ms',
} as const;

export type RatioName = keyof typeof RATIO_COLUMNS;

interface Ratio {
  readonly min: number;
  readonly avg: number;
  readonly max: number;
}

export type RatioStep = { readonly atMs: number; readonly count: number } & Readonly<
  Record<RatioName, Ratio>
>;

export function isRatio(metric: string): metric is RatioName {
  return Object.hasOwn(RATIO_COLUMNS, metric);
}

type RatioRow = { at_ms: number; n: number } & Readonly<Record<RatioName, readonly [number, number, number]>>;

type BucketRow = RouteRow & { bucket: Date };

/** Reads what routes did, from minutes or, for long ranges, from hours and the minutes at their edges. */
@Injectable()
export class LatencyStore {
  constructor(private readonly database: Database) {}

  /** @throws RangeTooWideError beyond 100,000 sketches */
  minutes(range: LatencyRange): Promise<RouteBucket[]> {
    return this.read(MINUTES(WHICH[range.which], ROUTE_COLUMNS.names), parametersOf(range));
  }

  /**
   * The same with hours where they are whole and rolled up. Minutes serve the hour that the range
   * begins in, the running hour, and hours that are due because minutes came late.
   * @throws RangeTooWideError beyond 100,000 sketches
   */
  hours(range: LatencyRange): Promise<RouteBucket[]> {
    const wholeFromMs = floorTo(range.fromMs + HOUR_MS - 1, HOUR_MS);
    return this.read(HOURS_AND_EDGES(WHICH[range.which], ROUTE_COLUMNS.names), [
      ...parametersOf(range),
      new Date(Math.min(wholeFromMs, range.toMs)),
    ]);
  }

  /**
   * Ratios of requests per step, from sums over all instances: a quiet instance weighs as little as
   * it served. `min` and `max` are those of the step's minutes or hours.
   */
  async ratios(range: Omit<LatencyRange, 'which'>, { tier, stepMs }: Plan): Promise<RatioStep[]> {
    const wholeFromMs = floorTo(range.fromMs + HOUR_MS - 1, HOUR_MS);
    const [rows, values] =
      tier === 'hour'
        ? [HOURS_AND_EDGES(WHICH.all, SUMS), [new Date(Math.min(wholeFromMs, range.toMs))]]
        : [MINUTES(WHICH.all, SUMS), []];
    const found = await this.database.query<RatioRow>(
      RATIOS(rows, stepMs, tier === 'hour' ? HOUR_MS : 60_000),
      [...parametersOf(range), ...values],
      { readOnly: true },
    );
    return found.map(toStep);
  }

  /** Since when this service was watched within the range: an interval before its first tick. Null without any. */
  async watchedFromMs({ fromMs, toMs, instance }: Omit<LatencyRange, 'which'>): Promise<number | null> {
    const rows = await this.database.query<{ at: Date; interval_ms: number }>(
      `SELECT at, interval_ms FROM vigia.system_metrics
       WHERE at >= $1 AND at < $2 AND ($3::text IS NULL OR instance = $3) ORDER BY at LIMIT 1`,
      [new Date(fromMs), new Date(toMs), instance],
      { readOnly: true },
    );
    const [first] = rows;
    return first ? Math.max(fromMs, first.at.getTime() - first.interval_ms) : null;
  }

  private async read(sql: string, values: readonly unknown[]): Promise<RouteBucket[]> {
    const rows = await this.database.query<BucketRow>(`${sql} LIMIT ${MAX_SKETCHES + 1}`, values, {
      readOnly: true,
    });
    if (rows.length > MAX_SKETCHES) throw new RangeTooWideError();
    return rows.map((row) => ({ ...toRouteMinute(row), bucketMs: row.bucket.getTime() }));
  }
}

const WHICH = { routes: `route <> '__all__'`, all: `route = '__all__'` } as const;

const MINUTES = (which: string, columns: string) => `
  SELECT bucket, ${columns} FROM vigia.request_minutes
  WHERE bucket >= $1 AND bucket < $2 AND ($3::text IS NULL OR instance = $3) AND ${which}`;

const HOURS_AND_EDGES = (which: string, columns: string) => `
  WITH due AS MATERIALIZED (
    SELECT bucket, instance FROM vigia.metric_rollup_queue
    WHERE kind = 'routes' AND bucket >= $4 AND bucket < $2)
  SELECT bucket, ${columns} FROM vigia.request_hours AS hour
  WHERE bucket >= $4 AND bucket < $2 AND ($3::text IS NULL OR instance = $3) AND ${which}
    AND NOT EXISTS (SELECT 1 FROM due WHERE due.bucket = hour.bucket AND due.instance = hour.instance)
  UNION ALL
  SELECT bucket, ${columns} FROM vigia.request_minutes
  WHERE bucket >= $1 AND bucket < $4 AND ($3::text IS NULL OR instance = $3) AND ${which}
  UNION ALL
  SELECT minute.bucket, ${columns} FROM due
  JOIN vigia.request_minutes AS minute ON minute.instance = due.instance
   AND minute.bucket >= due.bucket AND minute.bucket < due.bucket + interval '1 hour'
  WHERE minute.bucket < $2 AND ($3::text IS NULL OR minute.instance = $3) AND ${which}`;

function parametersOf({ fromMs, toMs, instance }: Omit<LatencyRange, 'which'>): unknown[] {
  return [new Date(fromMs), new Date(toMs), instance];
}

const SUMS = 'requests, server_errors, client_errors, sum_ms';

/** Least, whole and greatest of each ratio, for a step. */
const RATIOS = (rows: string, stepMs: number, unitMs: number) => `
  WITH buckets AS (
    SELECT date_bin(interval '${unitMs} milliseconds', bucket, 'epoch') AS bucket,
           sum(requests)::float8 AS requests, sum(server_errors)::float8 AS server_errors,
           sum(client_errors)::float8 AS client_errors, sum(sum_ms) AS sum_ms
    FROM (${rows}) AS rows GROUP BY 1 HAVING sum(requests) > 0)
  SELECT extract(epoch FROM date_bin(interval '${stepMs} milliseconds', bucket, 'epoch'))::float8 * 1000 AS at_ms,
         sum(requests) AS n, ${Object.entries(RATIO_COLUMNS)
           .map(([name, sum]) => RATIO(name, sum))
           .join(', ')}
  FROM buckets GROUP BY 1 ORDER BY 1`;

const RATIO = (name: string, sum: string) =>
  `ARRAY[min(${sum} / requests), sum(${sum}) / sum(requests), max(${sum} / requests)] AS "${name}"`;

function toStep({ at_ms: atMs, n: count, ...row }: RatioRow): RatioStep {
  const ratio = ([min, avg, max]: readonly [number, number, number]): Ratio => ({ min, avg, max });
  return {
    ...{ atMs, count },
    'requests.error_percent': ratio(row['requests.error_percent']),
    'requests.client_error_percent': ratio(row['requests.client_error_percent']),
    'requests.avg_response_time_ms': ratio(row['requests.avg_response_time_ms']),
  };
}
