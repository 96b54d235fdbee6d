import { Injectable } from '@nestjs/common';
import { Database, sqlState, type Queryable } from '../../../../core/index.js';
import { floorTo, type Plan, type Tier } from './plan.js';
import { RangeTooWideError, WideQuestions } from './wide-questions.js';

export interface HistoryPoint {
  readonly atMs: number;
  readonly min: number;
  readonly avg: number;
  readonly max: number;
  readonly count: number;
}

export interface StoredSeries {
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

/** The widest question that is answered at all; a bound on what one request may cost. */
const STATEMENT_TIMEOUT_MS = 1_200;
const QUERY_CANCELED = '57014';
/** So few buckets of one instance are read in milliseconds; watching them would cost two round trips. */
const UNWATCHED_BUCKETS = 10_000;
const BUCKET_MS = { minute: 60_000, hour: 3_600_000 } as const;

interface PointRow {
  id: number;
  at_ms: number;
  lo: number;
  mean: number;
  hi: number;
  n: number;
}

/**
 * Reads series over time. A bucket that is due for its roll-up is computed from its samples on the
 * fly, so history shows what was stored a moment ago and what came late, whatever the roll-up does.
 */
@Injectable()
export class HistoryStore {
  constructor(
    private readonly database: Database,
    private readonly wide: WideQuestions,
  ) {}

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
   * Points by the number of their series, in order of time. A step without samples has no point. All
   * is one statement: one turn and one deadline, whatever is asked together.
   * @throws RangeTooWideError when it takes too long: see WideQuestions
   */
  async read(
    series: readonly StoredSeries[],
    range: HistoryRange,
    plan: Plan,
  ): Promise<Map<number, HistoryPoint[]>> {
    if (series.length === 0) return new Map();
    const sql = statementOf(
      plan,
      series.some(({ business }) => business),
    );
    const values = parametersOf(series, range, plan);
    const buckets = ((range.toMs - range.fromMs) / plan.unitMs) * series.length;
    const rows =
      buckets <= UNWATCHED_BUCKETS
        ? await this.database.query<PointRow>(sql, values, { readOnly: true })
        : await this.askWatched(sql, values);
    return byId(rows, range.fromMs);
  }

  /** A wide question is ended by the server when it takes too long, instead of holding a connection. */
  private async askWatched(sql: string, values: readonly unknown[]): Promise<PointRow[]> {
    try {
      return await this.wide.run(() => this.database.transaction((tx) => watched(tx, sql, values)));
    } catch (error) {
      if (sqlState(error) === QUERY_CANCELED) throw new RangeTooWideError();
      throw error;
    }
  }
}

async function watched(tx: Queryable, sql: string, values: readonly unknown[]): Promise<PointRow[]> {
  await tx.execute(`SET LOCAL statement_timeout = ${STATEMENT_TIMEOUT_MS}`);
  return tx.query<PointRow>(sql, values);
}

// Parameters: $1 levels, $2 from, $3 to, $4 instance or null, $5 amounts, $6 begin of posted samples; series by their numbers.

const MINE = (table: string) => `($4::text IS NULL OR ${table}.instance = $4 OR ${table}.instance = '')`;

const HOUR = `interval '1 hour'`;
const MINUTE = `interval '1 minute'`;

const OF_READINGS = `
  min(tick.readings[series.id])::float8 AS lo, avg(tick.readings[series.id]) AS mean,
  max(tick.readings[series.id])::float8 AS hi, count(*)::float8 AS n`;

const OF_ROLLED = `
  rolled.mins[series.id]::float8 AS lo, rolled.avgs[series.id]::float8 AS mean,
  rolled.maxs[series.id]::float8 AS hi, rolled.counts[series.id]::float8 AS n`;

const OF_SAMPLES =
  'min(sample.value) AS lo, avg(sample.value) AS mean, max(sample.value) AS hi, count(*)::float8 AS n';

/** Ticks, gathered per instance into buckets of the unit. */
const fromTicks = (unit: string) => `
  SELECT series.id, date_bin(${unit}, tick.at, 'epoch') AS bucket, tick.instance, ${OF_READINGS}
  FROM vigia.system_metrics AS tick CROSS JOIN series
  WHERE tick.at >= $2 AND tick.at < $3 AND ${MINE('tick')} AND tick.readings[series.id] IS NOT NULL
  GROUP BY 1, 2, 3`;

const rolled = (table: string, due: string) => `
  SELECT series.id, rolled.bucket, rolled.instance, ${OF_ROLLED}
  FROM vigia.${table} AS rolled CROSS JOIN series
  WHERE rolled.bucket >= $2 AND rolled.bucket < $3 AND ${MINE('rolled')} AND rolled.counts[series.id] > 0
    AND NOT EXISTS (SELECT 1 FROM ${due} AS due WHERE due.bucket = rolled.bucket AND due.instance = rolled.instance)`;

/** OFFSET 0 makes the planner look each due bucket up, however many it believes there are. */
const EACH = (table: string, column: string, length: string) => `
  CROSS JOIN LATERAL (
    SELECT * FROM vigia.${table} AS own
    WHERE own.instance = due.instance AND own.${column} >= due.bucket AND own.${column} < due.bucket + ${length} OFFSET 0)`;

/** The ticks of minutes that are due, as buckets of the unit. */
const fromDueMinutes = (unit: string) => `
  SELECT series.id, date_bin(${unit}, tick.at, 'epoch') AS bucket, tick.instance, ${OF_READINGS}
  FROM due_minutes AS due ${EACH('system_metrics', 'at', MINUTE)} AS tick CROSS JOIN series
  WHERE ${MINE('tick')} AND tick.readings[series.id] IS NOT NULL
  GROUP BY 1, 2, 3`;

/** The minutes of hours that are due, but for those that are due themselves. */
const FROM_DUE_HOURS = `
  SELECT series.id, due.bucket, due.instance, ${OF_ROLLED}
  FROM due_hours AS due ${EACH('metric_minutes', 'bucket', HOUR)} AS rolled CROSS JOIN series
  WHERE ${MINE('rolled')} AND rolled.counts[series.id] > 0
    AND NOT EXISTS (SELECT 1 FROM due_minutes AS minute WHERE minute.bucket = rolled.bucket AND minute.instance = rolled.instance)`;

/** Business samples belong to no instance. */
const fromSamples = (unit: string) => `
  SELECT series.id, date_bin(${unit}, sample.at, 'epoch') AS bucket, '' AS instance, ${OF_SAMPLES}
  FROM series JOIN vigia.business_samples AS sample ON sample.series_id = series.id
  WHERE sample.at >= $6 AND sample.at < $3
  GROUP BY 1, 2`;

const FROM_DUE_SAMPLES = `
  SELECT series.id, due.bucket, '' AS instance, ${OF_SAMPLES}
  FROM due_hours AS due CROSS JOIN series
  CROSS JOIN LATERAL (
    SELECT value FROM vigia.business_samples AS own
    WHERE own.series_id = series.id AND own.at >= due.bucket AND own.at < due.bucket + ${HOUR} OFFSET 0) AS sample
  WHERE due.instance = ''
  GROUP BY 1, 2`;

const TICKS: Readonly<Record<Tier, (unit: string) => string[]>> = {
  raw: (unit) => [fromTicks(unit)],
  minute: () => [rolled('metric_minutes', 'due_minutes'), fromDueMinutes(MINUTE)],
  hour: (unit) => [rolled('metric_hours', 'due_hours'), FROM_DUE_HOURS, fromDueMinutes(unit)],
};

/** Hours of posted samples are rolled up among those of the ticks, as of an instance without a name. */
function partsOf({ tier, unitMs, ticks }: Plan, business: boolean): string[] {
  const unit = (ms: number) => `interval '${ms} milliseconds'`;
  if (!business) return TICKS[tier](unit(unitMs));
  const posted = tier === 'hour' ? FROM_DUE_SAMPLES : fromSamples(unit(unitMs));
  const stored = ticks ?? { tier, unitMs };
  const parts = TICKS[stored.tier](unit(stored.unitMs)).map((part) =>
    tier === stored.tier ? part : `SELECT * FROM (${part}) AS part WHERE instance <> ''`,
  );
  return [...parts, posted];
}

/** Makes steps from parts, and merges instances by the way. */
type Merge = (step: string) => string;

/** Least, mean weighted by count, greatest: over time and instances alike, so one pass does. */
const LEVELS: Merge = (step) => `
  SELECT id, ${step} AS at, min(lo) AS lo, sum(mean * n) / sum(n) AS mean, max(hi) AS hi, sum(n) AS n
  FROM parts WHERE id = ANY($1) GROUP BY 1, 2`;

/**
 * The parts of one instance and bucket become one, the instances of a bucket are added, then buckets
 * become steps. The means add up exactly; the sums of the instances' least and greatest enclose those
 * of the sum, and equal them where there is one instance or a bucket is a single tick. Buckets weigh
 * by their longest presence, so that an instance which began in mid-bucket does not count half.
 */
const AMOUNTS: Merge = (step) => `
  WITH whole AS (
    SELECT id, bucket, min(lo) AS lo, sum(mean * n) / sum(n) AS mean, max(hi) AS hi, sum(n) AS n
    FROM parts WHERE id = ANY($5) GROUP BY id, bucket, instance),
  added AS (
    SELECT id, bucket, sum(lo) AS lo, sum(mean) AS mean, sum(hi) AS hi, sum(n) AS n, max(n) AS weight
    FROM whole GROUP BY id, bucket)
  SELECT id, ${step} AS at, min(lo) AS lo, sum(mean * weight) / sum(weight) AS mean, max(hi) AS hi, sum(n) AS n
  FROM added GROUP BY 1, 2`;

/** The hour of a minute that is due is not right either, though nobody has asked for it yet. */
function statementOf(plan: Plan, business: boolean): string {
  // A bucket that the range begins in shows at the range's begin, beside what was posted then.
  const step = `date_bin(interval '${plan.stepMs} milliseconds', greatest(bucket, $6), 'epoch')`;
  const parts = partsOf(plan, business);
  return `
    WITH series AS MATERIALIZED (
      SELECT unnest($1::int[] || $5::int[]) AS id),
    due_minutes AS MATERIALIZED (
      SELECT bucket, instance FROM vigia.metric_rollup_queue
      WHERE kind = 'minute' AND bucket >= $2::timestamptz AND bucket < $3::timestamptz),
    due_hours AS MATERIALIZED (
      SELECT bucket, instance FROM vigia.metric_rollup_queue
      WHERE kind IN ('hour', 'business') AND bucket >= $2 AND bucket < $3
      UNION SELECT date_bin(${HOUR}, bucket, 'epoch'), instance FROM due_minutes),
    parts AS (${parts.join(' UNION ALL ')})
    SELECT id, (extract(epoch FROM at) * 1000)::float8 AS at_ms, lo, mean, hi, n
    FROM ((${LEVELS(step)}) UNION ALL (${AMOUNTS(step)})) AS steps ORDER BY id, at`;
}

function parametersOf(series: readonly StoredSeries[], range: HistoryRange, plan: Plan): unknown[] {
  // A bucket that the range begins in belongs to it; single samples are cut exactly.
  const beginOf = (tier: Tier) =>
    new Date(tier === 'raw' ? range.fromMs : floorTo(range.fromMs, BUCKET_MS[tier]));
  const ids = (summed: boolean) => series.filter((one) => one.summed === summed).map(({ id }) => id);
  const from = beginOf(plan.ticks?.tier ?? plan.tier);
  return [ids(false), from, new Date(range.toMs), range.instance, ids(true), beginOf(plan.tier)];
}

function byId(rows: readonly PointRow[], fromMs: number): Map<number, HistoryPoint[]> {
  const points = new Map<number, HistoryPoint[]>();
  for (const { id, at_ms: atMs, lo, mean, hi, n } of rows) {
    const point = { atMs: Math.max(atMs, fromMs), min: lo, avg: mean, max: hi, count: n };
    const known = points.get(id);
    if (known) known.push(point);
    else points.set(id, [point]);
  }
  return points;
}
