import { Injectable, Logger } from '@nestjs/common';
import { createHash } from 'node:crypto';
import { Clock, Database, type Queryable } from '../../../../core/index.js';
import { BUSINESS_PREFIX } from '../metric-catalogue.js';
import type { Labels } from '../metrics.types.js';

/** Series that the instances' own metrics may have, over all instances. */
export const MAX_SYSTEM_SERIES = 1_000;
/** Series under `business.`; apart, so that other programs cannot crowd out the machine's own. */
export const MAX_BUSINESS_SERIES = 1_000;
/** What was learnt is asked again after this long, which also tells the dictionary that it is in use. */
const TRUST_MS = 3_600_000;
/** Once a quota is used up, this instance asks for new ids again only after this long. */
const FULL_PAUSE_MS = 60_000;

export interface SeriesName {
  readonly name: string;
  readonly labels: Labels;
}

export interface Series extends SeriesName {
  readonly id: number;
}

/**
 * Gives each series (name and labels) a small number, which is its position in the arrays of every
 * row. Numbers are shared by all instances and never reused, so what was learnt stays true. Beyond
 * the quota a series gets none: its samples are dropped, counted and shown, and nothing fails.
 */
@Injectable()
export class SeriesDictionary {
  private readonly logger = new Logger(SeriesDictionary.name);
  /** Bounded by the two quotas. */
  private readonly ids = new Map<string, number>();
  private readonly fullUntilMs = { system: -Infinity, business: -Infinity };
  private learntAtMs = -Infinity;
  /** Samples dropped since the start for want of a number. */
  overflowed = 0;

  constructor(
    private readonly database: Database,
    private readonly clock: Clock,
  ) {}

  /**
   * Numbers for the series, in their order; null beyond the quota. Touches the database only when a
   * series is new to this instance.
   */
  async idsOf(series: readonly SeriesName[]): Promise<(number | null)[]> {
    this.forgetIfOld();
    const keys = series.map(keyOf);
    const unknown = series.filter(({ name }, i) => !this.ids.has(keys[i] ?? '') && !this.isFull(name));
    if (unknown.length > 0) await this.learn(unknown);
    const found = keys.map((key) => this.ids.get(key) ?? null);
    this.overflowed += found.filter((id) => id === null).length;
    return found;
  }

  /** All series of these names, by name and labels. */
  async named(names: readonly string[], db: Queryable = this.database): Promise<Series[]> {
    return db.query<{ id: number; name: string; labels: Record<string, string> }>(
      'SELECT id, name, labels FROM vigia.metric_series WHERE name = ANY($1) ORDER BY name, labels',
      [names],
      { readOnly: true },
    );
  }

  async names(): Promise<string[]> {
    const rows = await this.database.query<{ name: string }>(
      'SELECT DISTINCT name FROM vigia.metric_series ORDER BY name',
      [],
      { readOnly: true },
    );
    return rows.map(({ name }) => name);
  }

  private async learn(series: readonly SeriesName[]): Promise<void> {
    const rows = await this.database.transaction((tx) => register(tx, series, new Date(this.clock.now())));
    for (const row of rows) this.ids.set(keyOf(row), row.id);
    for (const { name } of series.filter((one) => !this.ids.has(keyOf(one)))) this.noteFull(name);
  }

  private forgetIfOld(): void {
    const now = this.clock.monotonicMs();
    if (now - this.learntAtMs < TRUST_MS) return;
    this.ids.clear();
    this.learntAtMs = now;
  }

  private isFull(name: string): boolean {
    return this.clock.monotonicMs() < this.fullUntilMs[quotaOf(name)];
  }

  private noteFull(name: string): void {
    if (this.isFull(name)) return;
    this.fullUntilMs[quotaOf(name)] = this.clock.monotonicMs() + FULL_PAUSE_MS;
    this.logger.warn(
      `no room for further ${quotaOf(name)} series such as ${name}: their samples are dropped`,
    );
  }
}

/** The lock makes the quota exact and keeps numbers dense; a new series is a rare event. */
async function register(tx: Queryable, series: readonly SeriesName[], now: Date): Promise<Series[]> {
  await tx.execute('LOCK TABLE vigia.metric_series IN SHARE ROW EXCLUSIVE MODE');
  const columns = [
    series.map(({ name }) => name),
    series.map(({ labels }) => canonical(labels)),
    series.map(hashOf),
  ];
  for (const [business, most] of [
    [false, MAX_SYSTEM_SERIES],
    [true, MAX_BUSINESS_SERIES],
  ] as const) {
    await tx.execute(INSERT_NEW, [...columns, business, most, now, `${BUSINESS_PREFIX}%`]);
  }
  const found = await tx.query<{ id: number; name: string; labels: Record<string, string> }>(
    `SELECT s.id, s.name, s.labels FROM vigia.metric_series s
     JOIN unnest($1::text[], $2::text[]) AS wanted(name, labels_key) USING (name, labels_key)`,
    [columns[0], columns[2]],
  );
  await tx.execute(
    `UPDATE vigia.metric_series SET last_seen_at = $2 WHERE id = ANY($1) AND last_seen_at < $2::timestamptz - interval '1 day'`,
    [found.map(({ id }) => id), now],
  );
  return found;
}

const INSERT_NEW = `
  INSERT INTO vigia.metric_series (name, labels, labels_key, business, last_seen_at)
  SELECT name, labels::jsonb, labels_key, $4, $6
  FROM unnest($1::text[], $2::text[], $3::text[]) WITH ORDINALITY AS wanted(name, labels, labels_key, place)
  WHERE (name LIKE $7) = $4
    AND NOT EXISTS (SELECT 1 FROM vigia.metric_series s WHERE s.name = wanted.name AND s.labels_key = wanted.labels_key)
    AND place = (SELECT min(twin.place) FROM unnest($1::text[], $3::text[]) WITH ORDINALITY AS twin(name, labels_key, place)
                 WHERE twin.name = wanted.name AND twin.labels_key = wanted.labels_key)
  ORDER BY place
  LIMIT greatest(0, $5 - (SELECT count(*) FROM vigia.metric_series WHERE business = $4))`;

function quotaOf(name: string): 'system' | 'business' {
  return name.startsWith(BUSINESS_PREFIX) ? 'business' : 'system';
}

/** Labels in one spelling, whatever order they came in. */
function canonical(labels: Labels): string {
  const names = Object.keys(labels);
  if (names.length === 0) return '{}';
  return JSON.stringify(Object.fromEntries(names.sort().map((name) => [name, labels[name]])));
}

function keyOf({ name, labels }: SeriesName): string {
  return `${name}${canonical(labels)}`;
}

/** Labels may be longer than an index entry; their digest is not. */
function hashOf({ labels }: SeriesName): string {
  return createHash('sha256').update(canonical(labels)).digest('base64url');
}
