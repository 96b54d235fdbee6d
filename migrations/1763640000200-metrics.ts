import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Metrics over time: the series dictionary, one row per tick, roll-ups of a minute and an hour,
 * latency sketches, business samples, live configuration. Array position n belongs to the series
 * with id n; a series without a sample is a null there, which costs one bit.
 */
export class Metrics1763640000200 implements MigrationInterface {
  readonly name = 'Metrics1763640000200';

  async up(runner: QueryRunner): Promise<void> {
    for (const statement of [...SERIES, ...ROLLUPS, ...SKETCHES, ...BUSINESS, ...CONFIG, CURRENT_VIEW]) {
      await runner.query(statement);
    }
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP VIEW vigia.v_current_metrics');
    for (const table of TABLES) await runner.query(`DROP TABLE vigia.${table}`);
  }
}

const TABLES = [
  'monitoring_config',
  'business_samples',
  'request_hours',
  'request_minutes',
  'metric_rollup_queue',
  'metric_hours',
  'metric_minutes',
  'system_metrics',
  'metric_series',
];

const SERIES = [
  `CREATE TABLE vigia.metric_series (
    id integer GENERATED ALWAYS AS IDENTITY,
    name varchar(128) NOT NULL,
    labels jsonb NOT NULL,
    labels_key varchar(64) NOT NULL,
    business boolean NOT NULL,
    last_seen_at timestamptz(3) NOT NULL,
    CONSTRAINT pk_metric_series PRIMARY KEY (id),
    CONSTRAINT uq_metric_series_name_labels UNIQUE (name, labels_key))`,
  `CREATE TABLE vigia.system_metrics (
    at timestamptz(3) NOT NULL,
    instance varchar(256) NOT NULL,
    boot_id varchar(64) NOT NULL,
    sequence integer NOT NULL,
    interval_ms integer NOT NULL,
    late_ms integer NOT NULL,
    clock_jump_ms integer NOT NULL,
    readings real[] NOT NULL,
    snapshot jsonb NOT NULL,
    CONSTRAINT pk_system_metrics PRIMARY KEY (at, instance, boot_id, sequence))`,
  // The document goes out of line, so that a scan of readings touches 20 rows a page instead of 3.
  `ALTER TABLE vigia.system_metrics ALTER COLUMN readings SET STORAGE PLAIN`,
  `ALTER TABLE vigia.system_metrics SET (toast_tuple_target = 128)`,
];

// Floats hardly compress, and an array out of line costs a lookup per row: kept plain and inline
// while the row fits its page.
const ROLLUPS = [
  ...(['minutes', 'hours'] as const).flatMap((tier) => [
    `CREATE TABLE vigia.metric_${tier} (
      bucket timestamptz(3) NOT NULL,
      instance varchar(256) NOT NULL,
      ticks integer NOT NULL,
      mins real[] NOT NULL,
      avgs real[] NOT NULL,
      maxs real[] NOT NULL,
      counts ${tier === 'minutes' ? 'smallint' : 'integer'}[] NOT NULL,
      CONSTRAINT pk_metric_${tier} PRIMARY KEY (bucket, instance))`,
    ...['mins', 'avgs', 'maxs', 'counts'].map(
      (column) => `ALTER TABLE vigia.metric_${tier} ALTER COLUMN ${column} SET STORAGE EXTERNAL`,
    ),
    `ALTER TABLE vigia.metric_${tier} SET (toast_tuple_target = 8160)`,
  ]),
  `CREATE TABLE vigia.metric_rollup_queue (
    kind varchar(16) NOT NULL,
    bucket timestamptz(3) NOT NULL,
    instance varchar(256) NOT NULL,
    CONSTRAINT pk_metric_rollup_queue PRIMARY KEY (kind, bucket, instance),
    CONSTRAINT ck_metric_rollup_queue_kind CHECK (kind IN ('minute', 'hour', 'business', 'routes')))`,
  // A few rows that change with every tick: vacuumed by count, not by share of the table.
  `ALTER TABLE vigia.metric_rollup_queue SET (
    fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000)`,
];

const SKETCH_COLUMNS = `
    method varchar(16) NOT NULL,
    route varchar(512) NOT NULL,
    requests bigint NOT NULL,
    server_errors bigint NOT NULL,
    client_errors bigint NOT NULL,
    aborted bigint NOT NULL,
    sum_ms double precision NOT NULL,
    max_ms double precision NOT NULL,
    sketch bytea NOT NULL`;

const SKETCHES = [
  `CREATE TABLE vigia.request_minutes (
    bucket timestamptz(3) NOT NULL,
    instance varchar(256) NOT NULL,
    boot_id varchar(64) NOT NULL,
    digest varchar(24) NOT NULL,${SKETCH_COLUMNS},
    CONSTRAINT pk_request_minutes PRIMARY KEY (bucket, instance, boot_id, digest, method, route))`,
  `CREATE TABLE vigia.request_hours (
    bucket timestamptz(3) NOT NULL,
    instance varchar(256) NOT NULL,${SKETCH_COLUMNS},
    CONSTRAINT pk_request_hours PRIMARY KEY (bucket, instance, method, route))`,
  // A curve of p95 reads only the sums of all routes.
  `CREATE INDEX ix_request_minutes_all ON vigia.request_minutes (bucket) WHERE route = '__all__'`,
  `CREATE INDEX ix_request_hours_all ON vigia.request_hours (bucket) WHERE route = '__all__'`,
];

const BUSINESS = [
  `CREATE TABLE vigia.business_samples (
    series_id integer NOT NULL,
    at timestamptz(3) NOT NULL,
    value double precision NOT NULL,
    CONSTRAINT pk_business_samples PRIMARY KEY (series_id, at))`,
  // Retention removes by age over all series; a few pages a day suffice for that.
  `CREATE INDEX ix_business_samples_at ON vigia.business_samples USING brin (at)`,
];

const CONFIG = [
  `CREATE TABLE vigia.monitoring_config (
    id smallint NOT NULL,
    document jsonb NOT NULL,
    version integer NOT NULL,
    updated_at timestamptz(3) NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT pk_monitoring_config PRIMARY KEY (id),
    CONSTRAINT ck_monitoring_config_one_row CHECK (id = 1))`,
];

/**
 * For psql and BI: the newest value of every series, one row each. An instance that stored nothing
 * for three of its intervals (at least a minute) is not live and not shown. Business series belong
 * to no instance and are shown for an hour.
 */
const CURRENT_VIEW = `
  CREATE VIEW vigia.v_current_metrics AS
  SELECT latest.instance, latest.at, series.name, series.labels, reading.value::text::double precision AS value
  FROM (
    SELECT DISTINCT ON (instance) instance, at, interval_ms, readings
    FROM vigia.system_metrics
    WHERE at > now() - interval '3 hours'
    ORDER BY instance, at DESC, sequence DESC) AS latest
  CROSS JOIN LATERAL unnest(latest.readings) WITH ORDINALITY AS reading(value, id)
  JOIN vigia.metric_series AS series ON series.id = reading.id
  WHERE reading.value IS NOT NULL
    AND latest.at > now() - greatest(interval '1 minute', latest.interval_ms * interval '3 milliseconds')
  UNION ALL
  SELECT NULL, newest.at, series.name, series.labels, newest.value
  FROM vigia.metric_series AS series
  CROSS JOIN LATERAL (
    SELECT at, value FROM vigia.business_samples AS sample
    WHERE sample.series_id = series.id AND sample.at > now() - interval '1 hour'
    ORDER BY at DESC LIMIT 1) AS newest
  WHERE series.business`;
