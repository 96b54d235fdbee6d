import { Check, Column, Entity, Index, PrimaryColumn, PrimaryGeneratedColumn, Unique } from 'typeorm';

// Entities only describe the tables, so that they can be compared with the migrations.

@Entity({ schema: 'vigia', name: 'metric_series' })
@Unique('uq_metric_series_name_labels', ['name', 'labelsKey'])
class MetricSeriesEntity {
  @PrimaryGeneratedColumn('identity', {
    generatedIdentity: 'ALWAYS',
    primaryKeyConstraintName: 'pk_metric_series',
  })
  id: number;

  @Column({ type: 'varchar', length: 128 })
  name: string;

  @Column({ type: 'jsonb' })
  labels: object;

  @Column({ type: 'varchar', length: 64, name: 'labels_key' })
  labelsKey: string;

  @Column({ type: 'boolean' })
  business: boolean;

  @Column({ type: 'timestamptz', precision: 3, name: 'last_seen_at' })
  lastSeenAt: Date;
}

@Entity({ schema: 'vigia', name: 'system_metrics' })
class SystemMetricsEntity {
  @PrimaryColumn({ type: 'timestamptz', precision: 3, primaryKeyConstraintName: 'pk_system_metrics' })
  at: Date;

  @PrimaryColumn({ type: 'varchar', length: 256, primaryKeyConstraintName: 'pk_system_metrics' })
  instance: string;

  @PrimaryColumn({
    type: 'varchar',
    length: 64,
    name: 'boot_id',
    primaryKeyConstraintName: 'pk_system_metrics',
  })
  bootId: string;

  @PrimaryColumn({ type: 'integer', primaryKeyConstraintName: 'pk_system_metrics' })
  sequence: number;

  @Column({ type: 'integer', name: 'interval_ms' })
  intervalMs: number;

  @Column({ type: 'integer', name: 'late_ms' })
  lateMs: number;

  @Column({ type: 'integer', name: 'clock_jump_ms' })
  clockJumpMs: number;

  @Column({ type: 'real', array: true })
  readings: number[];

  @Column({ type: 'jsonb' })
  snapshot: object;
}

@Entity({ schema: 'vigia', name: 'metric_minutes' })
class MetricMinutesEntity {
  @PrimaryColumn({ type: 'timestamptz', precision: 3, primaryKeyConstraintName: 'pk_metric_minutes' })
  bucket: Date;

  @PrimaryColumn({ type: 'varchar', length: 256, primaryKeyConstraintName: 'pk_metric_minutes' })
  instance: string;

  @Column({ type: 'integer' })
  ticks: number;

  @Column({ type: 'real', array: true })
  mins: number[];

  @Column({ type: 'real', array: true })
  avgs: number[];

  @Column({ type: 'real', array: true })
  maxs: number[];

  @Column({ type: 'smallint', array: true })
  counts: number[];
}

@Entity({ schema: 'vigia', name: 'metric_hours' })
class MetricHoursEntity {
  @PrimaryColumn({ type: 'timestamptz', precision: 3, primaryKeyConstraintName: 'pk_metric_hours' })
  bucket: Date;

  @PrimaryColumn({ type: 'varchar', length: 256, primaryKeyConstraintName: 'pk_metric_hours' })
  instance: string;

  @Column({ type: 'integer' })
  ticks: number;

  @Column({ type: 'real', array: true })
  mins: number[];

  @Column({ type: 'real', array: true })
  avgs: number[];

  @Column({ type: 'real', array: true })
  maxs: number[];

  @Column({ type: 'integer', array: true })
  counts: number[];
}

@Entity({ schema: 'vigia', name: 'metric_rollup_queue' })
@Check('ck_metric_rollup_queue_kind', `kind IN ('minute', 'hour', 'business', 'routes')`)
class MetricRollupQueueEntity {
  @PrimaryColumn({ type: 'varchar', length: 16, primaryKeyConstraintName: 'pk_metric_rollup_queue' })
  kind: string;

  @PrimaryColumn({ type: 'timestamptz', precision: 3, primaryKeyConstraintName: 'pk_metric_rollup_queue' })
  bucket: Date;

  @PrimaryColumn({ type: 'varchar', length: 256, primaryKeyConstraintName: 'pk_metric_rollup_queue' })
  instance: string;
}

abstract class RouteColumns {
  @Column({ type: 'bigint' })
  requests: string;

  @Column({ type: 'bigint', name: 'server_errors' })
  serverErrors: string;

  @Column({ type: 'bigint', name: 'client_errors' })
  clientErrors: string;

  @Column({ type: 'bigint' })
  aborted: string;

  @Column({ type: 'double precision', name: 'sum_ms' })
  sumMs: number;

  @Column({ type: 'double precision', name: 'max_ms' })
  maxMs: number;

  @Column({ type: 'bytea' })
  sketch: Buffer;
}

@Entity({ schema: 'vigia', name: 'request_minutes' })
@Index('ix_request_minutes_all', { synchronize: false }) // partial
class RequestMinutesEntity extends RouteColumns {
  @PrimaryColumn({ type: 'timestamptz', precision: 3, primaryKeyConstraintName: 'pk_request_minutes' })
  bucket: Date;

  @PrimaryColumn({ type: 'varchar', length: 256, primaryKeyConstraintName: 'pk_request_minutes' })
  instance: string;

  @PrimaryColumn({
    type: 'varchar',
    length: 64,
    name: 'boot_id',
    primaryKeyConstraintName: 'pk_request_minutes',
  })
  bootId: string;

  @PrimaryColumn({ type: 'varchar', length: 24, primaryKeyConstraintName: 'pk_request_minutes' })
  digest: string;

  @PrimaryColumn({ type: 'varchar', length: 16, primaryKeyConstraintName: 'pk_request_minutes' })
  method: string;

  @PrimaryColumn({ type: 'varchar', length: 512, primaryKeyConstraintName: 'pk_request_minutes' })
  route: string;
}

@Entity({ schema: 'vigia', name: 'request_hours' })
@Index('ix_request_hours_all', { synchronize: false }) // partial
class RequestHoursEntity extends RouteColumns {
  @PrimaryColumn({ type: 'timestamptz', precision: 3, primaryKeyConstraintName: 'pk_request_hours' })
  bucket: Date;

  @PrimaryColumn({ type: 'varchar', length: 256, primaryKeyConstraintName: 'pk_request_hours' })
  instance: string;

  @PrimaryColumn({ type: 'varchar', length: 16, primaryKeyConstraintName: 'pk_request_hours' })
  method: string;

  @PrimaryColumn({ type: 'varchar', length: 512, primaryKeyConstraintName: 'pk_request_hours' })
  route: string;
}

@Entity({ schema: 'vigia', name: 'business_samples' })
@Index('ix_business_samples_at', { synchronize: false }) // BRIN, which TypeORM cannot describe
class BusinessSamplesEntity {
  @PrimaryColumn({ type: 'integer', name: 'series_id', primaryKeyConstraintName: 'pk_business_samples' })
  seriesId: number;

  @PrimaryColumn({ type: 'timestamptz', precision: 3, primaryKeyConstraintName: 'pk_business_samples' })
  at: Date;

  @Column({ type: 'double precision' })
  value: number;
}

@Entity({ schema: 'vigia', name: 'monitoring_config' })
@Check('ck_monitoring_config_one_row', 'id = 1')
class MonitoringConfigEntity {
  @PrimaryColumn({ type: 'smallint', primaryKeyConstraintName: 'pk_monitoring_config' })
  id: number;

  @Column({ type: 'jsonb' })
  document: object;

  @Column({ type: 'integer' })
  version: number;

  @Column({ type: 'timestamptz', precision: 3, name: 'updated_at', default: () => 'clock_timestamp()' })
  updatedAt: Date;
}

export const METRICS_ENTITIES = [
  MetricSeriesEntity,
  SystemMetricsEntity,
  MetricMinutesEntity,
  MetricHoursEntity,
  MetricRollupQueueEntity,
  RequestMinutesEntity,
  RequestHoursEntity,
  BusinessSamplesEntity,
  MonitoringConfigEntity,
] as const;
