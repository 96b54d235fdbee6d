import { Injectable } from '@nestjs/common';
import { Database, sqlState, VigiaError, type Queryable } from '../../../../core/index.js';
import { floorTo, type Plan, type Tier } from './plan.js';

export interface HistoryPoint {
  readonly atMs: number;
  readonly min: number;
  readonly avg: number;
  readonly max: number;
  readonly count: number;
}

export interface HistorySeries {
  readonly id: number;
  /** Added over instances (an amount), instead of averaged (a level). */
  readonly summed: boolean;
  /** Other programs post it: its samples lie in a table of their own. */
  readonly business: boolean;
}

export interface HistoryRange {
  readonly fromMs: number;
  readonly toMs: number;
  /** One instance, or null for all together. */
  readonly instance: string | null;
}

export class RangeTooWideError extends VigiaError {
  constructor() {
    super(400, 'RANGE_TOO_WIDE', 'this range holds too much to answer in time: ask for less time, fewer names or one instance');
  }
}

/** The widest question that is answered at all; a bound on what one request may cost. */
const STATEMENT_TIMEOUT_MS = 1_900;
const QUERY_CANCELED = '57014';
const HOUR_MS = 3_600_000;

interface PointRow {
  id: number;
  at: Date;
  lo: number;
  mean: number;
  hi: number;
  n: number;
}

/** Buckets whose roll-up is still to be made, or to be made anew because a late sample came. */
interface Due {
  readonly minutes: readonly DueBucket[];
  readonly hours: readonly DueBucket[];
}

interface DueBucket {
  readonly bucketMs: number;
  readonly instance: string;
}

/**
 * Reads series over time. A bucket that is due for its roll-up is computed from its samples on the
 * fly, so history shows what was stored a moment ago and what came late, whatever the roll-up does.
 */
@Injectable()
export class HistoryStore {
  constructor(private readonly database: Database) {}

  /** The interval between ticks in the range, the longest if it was changed; null without ticks. */
  async longestIntervalMs(fromMs: number, toMs: number): Promise<number | null> {
    const rows = await this.database.query<{ longest: number | null }>(
      'SELECT max(interval_ms) AS longest FROM vigia.system_metrics WHERE at >= $1 AND at < $2',
      [new Date(fromMs), new Date(toMs)],
      { readOnly: true },
    );
    return rows[0]?.longest ?? null;
  }

  /**
   * Points of each series by its id, in order of time; a step without samples has no point.
   * @throws RangeTooWideError when it takes longer than 1.9 s
   */
  async read(series: readonly HistorySeries[], range: HistoryRange, plan: Plan): Promise<Map<number, HistoryPoint[]>> {
    if (series.length === 0) return new Map();
    try {
      return await this.database.transaction(async (tx) => {
        await tx.execute(`SET LOCAL statement_timeout = ${STATEMENT_TIMEOUT_MS}`);
        const due = plan.tier === 'raw' ? { minutes: [], hours: [] } : await dueBuckets(tx, range);
        const rows = await tx.query<PointRow>(statementOf(plan, series), parametersOf(series, range, plan, due));
        return byId(rows, range.fromMs);
      });
    } catch (error) {
      if (sqlState(error) === QUERY_CANCELED) throw new RangeTooWideError();
      throw error;
    }
  }
}

async function dueBuckets(tx: Queryable, { fromMs, toMs }: HistoryRange): Promise<Due> {
  const rows = await tx.query<{ kind: string; bucket: Date; instance: string }>(
    `SELECT kind, bucket, instance FROM vigia.metric_rollup_queue
     WHERE kind IN ('minute', 'hour', 'business') AND bucket >= $1 AND bucket < $2`,
    [new Date(floorTo(fromMs, HOUR_MS)), new Date(toMs)],
  );
  const due = rows.map(({ kind, bucket, instance }) => ({ kind, bucketMs: bucket.getTime(), instance }));
  const minutes = due.filter(({ kind }) => kind === 'minute');
  // The hour of a minute that is due is not right either, though nobody has asked for it yet.
  const hours = [...due.filter(({ kind }) => kind !== 'minute'), ...minutes.map(hourOf)];
  return { minutes, hours: [...new Map(hours.map((hour) => [`${hour.bucketMs} ${hour.instance}`, hour])).values()] };
}

function hourOf({ bucketMs, instance }: DueBucket): DueBucket {
  return { bucketMs: floorTo(bucketMs, HOUR_MS), instance };
}

// Parameters: $1 ids, $2 whether summed, $3 from, $4 to, $5 instance or null,
// $6 and $7 minutes that are due, $8 and $9 hours that are due (bucket and instance each).

const MINE = (table: string) => `($5::text IS NULL OR ${table}.instance = $5 OR ${table}.instance = '')`;

/** Ticks, gathered per instance into buckets of the unit. */
const fromTicks = (unit: string) => `
  SELECT series.id, date_bin(${unit}, tick.at, 'epoch') AS bucket, tick.instance, ${OF_READINGS}
  FROM vigia.system_metrics AS tick CROSS JOIN series
  WHERE tick.at >= $3 AND tick.at < $4 AND ${MINE('tick')} AND tick.readings[series.id] IS NOT NULL
  GROUP BY 1, 2, 3`;

const OF_READINGS = `
  min(tick.readings[series.id])::float8 AS lo, avg(tick.readings[series.id]) AS mean,
  max(tick.readings[series.id])::float8 AS hi, count(*)::float8 AS n`;

const rolled = (table: string, due: string) => `
  SELECT series.id, rolled.bucket, rolled.instance, rolled.mins[series.id]::float8 AS lo, rolled.avgs[series.id]::float8 AS mean,
         rolled.maxs[series.id]::float8 AS hi, rolled.counts[series.id]::float8 AS n
  FROM vigia.${table} AS rolled CROSS JOIN series
  WHERE rolled.bucket >= $3 AND rolled.bucket < $4 AND ${MINE('rolled')} AND rolled.counts[series.id] > 0
    AND NOT EXISTS (SELECT 1 FROM ${due} AS due WHERE due.bucket = rolled.bucket AND due.instance = rolled.instance)`;

/** The ticks of minutes that are due, as buckets of the unit. */
const fromDueMinutes = (unit: string) => `
  SELECT series.id, date_bin(${unit}, tick.at, 'epoch') AS bucket, tick.instance, ${OF_READINGS}
  FROM due_minutes AS due
  JOIN vigia.system_metrics AS tick ON tick.instance = due.instance
   AND tick.at >= due.bucket AND tick.at < due.bucket + interval '1 minute'
  CROSS JOIN series
  WHERE due.bucket >= $3 AND due.bucket < $4 AND ${MINE('tick')} AND tick.readings[series.id] IS NOT NULL
  GROUP BY 1, 2, 3`;

/** The minutes of hours that are due, but for those that are due themselves. */
const FROM_DUE_HOURS = `
  SELECT series.id, due.bucket, due.instance, rolled.mins[series.id]::float8, rolled.avgs[series.id]::float8,
         rolled.maxs[series.id]::float8, rolled.counts[series.id]::float8
  FROM due_hours AS due
  JOIN vigia.metric_minutes AS rolled ON rolled.instance = due.instance
   AND rolled.bucket >= due.bucket AND rolled.bucket < due.bucket + interval '1 hour'
  CROSS JOIN series
  WHERE ${MINE('rolled')} AND rolled.counts[series.id] > 0
    AND NOT EXISTS (SELECT 1 FROM due_minutes AS minute WHERE minute.bucket = rolled.bucket AND minute.instance = rolled.instance)`;

/** Business samples belong to no instance. */
const fromSamples = (unit: string) => `
  SELECT series.id, date_bin(${unit}, sample.at, 'epoch') AS bucket, '' AS instance,
         min(value) AS lo, avg(value) AS mean, max(value) AS hi, count(*)::float8 AS n
  FROM series JOIN vigia.business_samples AS sample ON sample.series_id = series.id
  WHERE sample.at >= $3 AND sample.at < $4
  GROUP BY 1, 2`;

const FROM_DUE_SAMPLES = `
  SELECT series.id, due.bucket, '', min(value), avg(value), max(value), count(*)::float8
  FROM due_hours AS due CROSS JOIN series
  JOIN vigia.business_samples AS sample ON sample.series_id = series.id
   AND sample.at >= due.bucket AND sample.at < due.bucket + interval '1 hour'
  WHERE due.instance = ''
  GROUP BY 1, 2`;

const PARTS: Readonly<Record<Tier, (unit: string, business: boolean) => string[]>> = {
  raw: (unit, business) => [fromTicks(unit), ...(business ? [fromSamples(unit)] : [])],
  minute: (unit, business) => [
    rolled('metric_minutes', 'due_minutes'),
    fromDueMinutes(`interval '1 minute'`),
    ...(business ? [fromSamples(unit)] : []),
  ],
  hour: (unit, business) => [
    rolled('metric_hours', 'due_hours'),
    FROM_DUE_HOURS,
    fromDueMinutes(unit),
    ...(business ? [FROM_DUE_SAMPLES] : []),
  ],
};

/**
 * First an instance's parts of one bucket become one, then the instances are merged bucket by bucket,
 * then buckets become steps. Levels: least, mean by count, greatest. Amounts: the instances' means add
 * up exactly; the sums of their least and greatest enclose those of the sum, and equal them where one
 * instance is, or where buckets are single ticks. An instance that was there for half a bucket does
 * not weigh half: buckets weigh by their longest presence.
 */
function statementOf({ tier, unitMs, stepMs }: Plan, series: readonly HistorySeries[]): string {
  const unit = `interval '${unitMs} milliseconds'`;
  const parts = PARTS[tier](unit, series.some(({ business }) => business));
  return `
    WITH series AS MATERIALIZED (SELECT * FROM unnest($1::int[], $2::boolean[]) AS series(id, summed)),
    due_minutes AS MATERIALIZED (SELECT * FROM unnest($6::timestamptz[], $7::text[]) AS due(bucket, instance)),
    due_hours AS MATERIALIZED (SELECT * FROM unnest($8::timestamptz[], $9::text[]) AS due(bucket, instance)),
    parts AS (${parts.join(' UNION ALL ')}),
    whole AS (
      SELECT id, bucket, min(lo) AS lo, sum(mean * n) / sum(n) AS mean, max(hi) AS hi, sum(n) AS n
      FROM parts GROUP BY id, bucket, instance),
    merged AS (
      SELECT id, bucket, sum(n) AS n,
             CASE WHEN summed THEN sum(lo) ELSE min(lo) END AS lo,
             CASE WHEN summed THEN sum(mean) ELSE sum(mean * n) / sum(n) END AS mean,
             CASE WHEN summed THEN sum(hi) ELSE max(hi) END AS hi,
             CASE WHEN summed THEN max(n) ELSE sum(n) END AS weight
      FROM whole JOIN series USING (id) GROUP BY id, summed, bucket)
    SELECT id, date_bin(interval '${stepMs} milliseconds', bucket, 'epoch') AS at,
           min(lo) AS lo, sum(mean * weight) / sum(weight) AS mean, max(hi) AS hi, sum(n) AS n
    FROM merged GROUP BY 1, 2 ORDER BY 1, 2`;
}

function parametersOf(series: readonly HistorySeries[], range: HistoryRange, plan: Plan, due: Due): unknown[] {
  // A bucket that the range begins in belongs to it; single samples are cut exactly.
  const fromMs = plan.tier === 'raw' ? range.fromMs : floorTo(range.fromMs, plan.tier === 'minute' ? 60_000 : HOUR_MS);
  return [
    series.map(({ id }) => id),
    series.map(({ summed }) => summed),
    new Date(fromMs),
    new Date(range.toMs),
    range.instance,
    ...[due.minutes, due.hours].flatMap((buckets) => [
      buckets.map(({ bucketMs }) => new Date(bucketMs)),
      buckets.map(({ instance }) => instance),
    ]),
  ];
}

function byId(rows: readonly PointRow[], fromMs: number): Map<number, HistoryPoint[]> {
  const points = new Map<number, HistoryPoint[]>();
  for (const { id, at, lo, mean, hi, n } of rows) {
    const point = { atMs: Math.max(at.getTime(), fromMs), min: lo, avg: mean, max: hi, count: n };
    const known = points.get(id);
    if (known) known.push(point);
    else points.set(id, [point]);
  }
  return points;
}
