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
/** `last_seen_at` is written when it is a day old and the series is learnt anew, which is within an hour. */
const LAST_SEEN_LAG_MS = 26 * 3_600_000;
/** Once a quota is used up, this instance asks for new ids again only after this long. */
const FULL_PAUSE_MS = 60_000;

export interface SeriesName {
  readonly name: string;
  readonly labels: Labels;
}

export interface Series extends SeriesName {
  readonly id: number;
}

interface Known {
  readonly id: number;
  readonly learntAtMs: number;
}

interface SeriesRow {
  id: number;
  name: string;
  labels: Record<string, string>;
  unseen: boolean;
}

/**
 * Gives each series (name and labels) a small number, which is its position in the arrays of every
 * row. Numbers are shared by all instances and never reused, so what was learnt stays true. Beyond
 * the quota a series gets none: its samples are dropped, counted and shown, and nothing fails.
 */
@Injectable()
export class SeriesDictionary {
  private readonly logger = new Logger(SeriesDictionary.name);
  /** Bounded: by the two quotas, and by what was used within the last two hours. */
  private readonly known = new Map<string, Known>();
  private readonly fullUntilMs = { system: -Infinity, business: -Infinity };
  private tidiedAtMs = -Infinity;
  /** Samples dropped since the start for want of a number. */
  overflowed = 0;

  constructor(
    private readonly database: Database,
    private readonly clock: Clock,
  ) {}

  /**
   * Numbers for the series, in their order; null beyond the quota. Touches the database only when a
   * series is new to this instance or was learnt an hour ago.
   */
  async idsOf(series: readonly SeriesName[]): Promise<(number | null)[]> {
    this.forgetUnused();
    const keys = series.map(keyOf);
    const trustedFromMs = this.clock.monotonicMs() - TRUST_MS;
    const asked = series.filter(
      (_, i) => !((this.known.get(keys[i] ?? '')?.learntAtMs ?? -Infinity) > trustedFromMs),
    );
    if (asked.length > 0) await this.learn(asked);
    const found = keys.map((key) => this.known.get(key)?.id ?? null);
    this.overflowed += found.filter((id) => id === null).length;
    return found;
  }

  /**
   * The series of these names that may have samples since `sinceMs`, by name and labels, and which of
   * the names have any series at all. Bounded by the quotas.
   */
  async named(names: readonly string[], sinceMs: number): Promise<{ series: Series[]; known: Set<string> }> {
    const rows = await this.database.query<Omit<SeriesRow, 'unseen'> & { used: boolean }>(
      `SELECT id, name, labels, last_seen_at >= $2 AS used
       FROM vigia.metric_series WHERE name = ANY($1) ORDER BY name, labels`,
      [names, new Date(sinceMs - LAST_SEEN_LAG_MS)],
      { readOnly: true },
    );
    const series = rows.filter(({ used }) => used).map(({ id, name, labels }) => ({ id, name, labels }));
    return { series, known: new Set(rows.map(({ name }) => name)) };
  }

  async names(): Promise<string[]> {
    const rows = await this.database.query<{ name: string }>(
      'SELECT DISTINCT name FROM vigia.metric_series ORDER BY name',
      [],
      { readOnly: true },
    );
    return rows.map(({ name }) => name);
  }

  /**
   * What exists is looked up without a lock, even while a quota is used up: only giving out new
   * numbers rests then. What was known stays known until this has succeeded.
   */
  private async learn(asked: readonly SeriesName[]): Promise<void> {
    const now = new Date(this.clock.now());
    const existing = await lookUp(this.database, asked, now);
    const keys = new Set(existing.map(keyOf));
    const fresh = asked.filter((one) => !keys.has(keyOf(one)));
    const wanted = fresh.filter(({ name }) => !this.isFull(name));
    const made = wanted.length > 0 ? await this.database.transaction((tx) => register(tx, wanted, now)) : [];
    // A series that retention has removed in the meantime has lost its number.
    for (const one of fresh) this.known.delete(keyOf(one));
    const learntAtMs = this.clock.monotonicMs();
    for (const row of [...existing, ...made]) this.known.set(keyOf(row), { id: row.id, learntAtMs });
    for (const { name } of wanted.filter((one) => !this.known.has(keyOf(one)))) this.noteFull(name);
  }

  /** Series in use are learnt anew every hour; what is twice as old is not in use any more. */
  private forgetUnused(): void {
    const now = this.clock.monotonicMs();
    if (now - this.tidiedAtMs < TRUST_MS) return;
    this.tidiedAtMs = now;
    for (const [key, { learntAtMs }] of this.known) {
      if (now - learntAtMs > 2 * TRUST_MS) this.known.delete(key);
    }
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
  return lookUp(tx, series, now);
}

/** Those that exist; that they are still in use is noted once a day. */
async function lookUp(db: Queryable, series: readonly SeriesName[], now: Date): Promise<Series[]> {
  const found = await db.query<SeriesRow>(
    `SELECT s.id, s.name, s.labels, s.last_seen_at < $3::timestamptz - interval '1 day' AS unseen
     FROM vigia.metric_series s
     JOIN unnest($1::text[], $2::text[]) AS wanted(name, labels_key) USING (name, labels_key)`,
    [series.map(({ name }) => name), series.map(hashOf), now],
  );
  const unseen = found.filter((row) => row.unseen).map(({ id }) => id);
  if (unseen.length > 0) {
    await db.execute('UPDATE vigia.metric_series SET last_seen_at = $2 WHERE id = ANY($1)', [unseen, now]);
  }
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
