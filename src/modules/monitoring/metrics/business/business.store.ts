import { Injectable } from '@nestjs/common';
import { Database } from '../../../../core/index.js';
import { BUSINESS_PREFIX } from '../metric-catalogue.js';

export interface BusinessSample {
  readonly seriesId: number;
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly atMs: number;
  readonly value: number;
}

export interface GaugeRow {
  name: string;
  unlabelled: boolean;
  at: Date;
  value: number;
}

@Injectable()
export class BusinessStore {
  constructor(private readonly database: Database) {}

  /**
   * Stores the samples and makes their hours due, in one statement. A second sample of the same
   * series and millisecond replaces the first, so a repeated request changes nothing.
   */
  async insert(samples: readonly BusinessSample[]): Promise<void> {
    // One statement cannot touch a row twice: the last of equal keys is the one that counts.
    const rows = [
      ...new Map(samples.map((sample) => [`${sample.seriesId} ${sample.atMs}`, sample])).values(),
    ];
    await this.database.execute(INSERT, [
      rows.map(({ seriesId }) => seriesId),
      rows.map(({ atMs }) => new Date(atMs)),
      rows.map(({ value }) => value),
    ]);
  }

  /** The newest sample of each business series since `fromMs`. */
  async newest(fromMs: number, toMs: number): Promise<GaugeRow[]> {
    return this.database.query<{ name: string; unlabelled: boolean; at: Date; value: number }>(
      `SELECT substr(series.name, $3) AS name, series.labels = '{}' AS unlabelled, newest.at, newest.value
       FROM vigia.metric_series AS series
       CROSS JOIN LATERAL (
         SELECT at, value FROM vigia.business_samples AS sample
         WHERE sample.series_id = series.id AND sample.at >= $1 AND sample.at <= $2
         ORDER BY at DESC LIMIT 1) AS newest
       WHERE series.business`,
      [new Date(fromMs), new Date(toMs), BUSINESS_PREFIX.length + 1],
      { readOnly: true },
    );
  }
}

// Hours in order, so that two requests cannot wait for each other in a circle.
const INSERT = `
  WITH samples AS (
    SELECT * FROM unnest($1::int[], $2::timestamptz[], $3::float8[]) AS sample(series_id, at, value)),
  due AS (
    INSERT INTO vigia.metric_rollup_queue AS q (kind, bucket, instance)
    SELECT DISTINCT 'business', date_bin('1 hour', at, 'epoch') AS hour, '' FROM samples ORDER BY hour
    ON CONFLICT (kind, bucket, instance) DO UPDATE SET instance = excluded.instance)
  INSERT INTO vigia.business_samples (series_id, at, value)
  SELECT series_id, at, value FROM samples ORDER BY series_id, at
  ON CONFLICT (series_id, at) DO UPDATE SET value = excluded.value`;
