import { Injectable } from '@nestjs/common';
import { Database } from '../../../../core/index.js';
import type { RouteMinute } from '../metrics.types.js';
import { ROUTE_COLUMNS, toRouteMinute, type RouteRow } from '../stores/route-columns.js';
import { floorTo } from './plan.js';
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

type BucketRow = RouteRow & { bucket: Date };

/** Reads what routes did, from minutes or, for long ranges, from hours and the minutes at their edges. */
@Injectable()
export class LatencyStore {
  constructor(private readonly database: Database) {}

  /** @throws RangeTooWideError beyond 100,000 sketches */
  minutes(range: LatencyRange): Promise<RouteBucket[]> {
    return this.read(
      `SELECT bucket, ${ROUTE_COLUMNS.names} FROM vigia.request_minutes
       WHERE bucket >= $1 AND bucket < $2 AND ($3::text IS NULL OR instance = $3) AND ${WHICH[range.which]}`,
      parametersOf(range),
    );
  }

  /**
   * The same with hours where they are whole and rolled up. Minutes serve the hour that the range
   * begins in, the running hour, and hours that are due because minutes came late.
   * @throws RangeTooWideError beyond 100,000 sketches
   */
  hours(range: LatencyRange): Promise<RouteBucket[]> {
    const wholeFromMs = floorTo(range.fromMs + HOUR_MS - 1, HOUR_MS);
    return this.read(HOURS_AND_EDGES(WHICH[range.which]), [
      ...parametersOf(range),
      new Date(Math.min(wholeFromMs, range.toMs)),
    ]);
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

const HOURS_AND_EDGES = (which: string) => `
  WITH due AS MATERIALIZED (
    SELECT bucket, instance FROM vigia.metric_rollup_queue
    WHERE kind = 'routes' AND bucket >= $4 AND bucket < $2)
  SELECT bucket, ${ROUTE_COLUMNS.names} FROM vigia.request_hours AS hour
  WHERE bucket >= $4 AND bucket < $2 AND ($3::text IS NULL OR instance = $3) AND ${which}
    AND NOT EXISTS (SELECT 1 FROM due WHERE due.bucket = hour.bucket AND due.instance = hour.instance)
  UNION ALL
  SELECT bucket, ${ROUTE_COLUMNS.names} FROM vigia.request_minutes
  WHERE bucket >= $1 AND bucket < $4 AND ($3::text IS NULL OR instance = $3) AND ${which}
  UNION ALL
  SELECT minute.bucket, ${ROUTE_COLUMNS.names} FROM due
  JOIN vigia.request_minutes AS minute ON minute.instance = due.instance
   AND minute.bucket >= due.bucket AND minute.bucket < due.bucket + interval '1 hour'
  WHERE minute.bucket < $2 AND ($3::text IS NULL OR minute.instance = $3) AND ${which}`;

function parametersOf({ fromMs, toMs, instance }: LatencyRange): unknown[] {
  return [new Date(fromMs), new Date(toMs), instance];
}
