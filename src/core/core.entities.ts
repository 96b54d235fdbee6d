import { Check, Column, Entity, Index, PrimaryColumn, Unique } from 'typeorm';

@Entity({ schema: 'vigia', name: 'bus_versions' })
class BusVersionEntity {
  @PrimaryColumn('varchar', { length: 64, primaryKeyConstraintName: 'pk_bus_versions' })
  topic: string;

  @Column('bigint')
  version: string;
}

@Entity({ schema: 'vigia', name: 'leases' })
class LeaseEntity {
  @PrimaryColumn('varchar', { length: 128, primaryKeyConstraintName: 'pk_leases' })
  name: string;

  @Column('varchar', { length: 256 })
  holder: string;

  @Column('bigint')
  token: string;

  @Column({ type: 'timestamptz', name: 'expires_at', precision: 3 })
  expiresAt: Date;
}

@Entity({ schema: 'vigia', name: 'outbox' })
@Unique('uq_outbox_topic_key', ['topic', 'key'])
@Check('ck_outbox_state', `state IN ('pending', 'sent', 'dead')`)
@Index('ix_outbox_due', ['nextAttemptAt'], { where: `state = 'pending'` })
class OutboxEntity {
  @PrimaryColumn('uuid', { primaryKeyConstraintName: 'pk_outbox' })
  id: string;

  @Column('varchar', { length: 64 })
  topic: string;

  @Column('varchar', { length: 256 })
  key: string;

  @Column('jsonb')
  payload: unknown;

  @Column('varchar', { length: 16, default: 'pending' })
  state: string;

  @Column('integer', { default: 0 })
  attempts: number;

  @Column({ type: 'timestamptz', name: 'next_attempt_at', precision: 3, default: () => 'clock_timestamp()' })
  nextAttemptAt: Date;

  @Column('varchar', { name: 'last_error', length: 500, nullable: true })
  lastError: string | null;

  @Column({ type: 'timestamptz', name: 'created_at', precision: 3, default: () => 'clock_timestamp()' })
  createdAt: Date;

  @Column({ type: 'timestamptz', name: 'sent_at', precision: 3, nullable: true })
  sentAt: Date | null;
}

@Entity({ schema: 'vigia', name: 'worker_heartbeat' })
@Check('ck_worker_heartbeat_one', 'id = 1')
class WorkerHeartbeatEntity {
  @PrimaryColumn('smallint', { primaryKeyConstraintName: 'pk_worker_heartbeat' })
  id: number;

  @Column({ type: 'timestamptz', precision: 3 })
  at: Date;
}

@Entity({ schema: 'vigia', name: 'job_progress' })
@Check('ck_job_progress_state', `state IN ('queued', 'running', 'succeeded', 'failed', 'cancelled')`)
@Index('ix_job_progress_open', ['updatedAt'], { where: `state IN ('queued', 'running')` })
class JobProgressEntity {
  @PrimaryColumn('uuid', { name: 'job_id', primaryKeyConstraintName: 'pk_job_progress' })
  jobId: string;

  @Column('varchar', { length: 64 })
  kind: string;

  @Column('varchar', { name: 'owner_id', length: 128, nullable: true })
  ownerId: string | null;

  @Column('boolean', { default: false })
  external: boolean;

  @Column('varchar', { length: 16 })
  state: string;

  @Column('varchar', { length: 128, nullable: true })
  phase: string | null;

  @Column('double precision', { default: 0 })
  done: number;

  @Column('double precision', { nullable: true })
  total: number | null;

  @Column('varchar', { length: 32, nullable: true })
  unit: string | null;

  @Column('varchar', { name: 'error_code', length: 64, nullable: true })
  errorCode: string | null;

  @Column('varchar', { name: 'error_message', length: 500, nullable: true })
  errorMessage: string | null;

  @Column('jsonb', { nullable: true })
  result: unknown;

  @Column('integer', { default: 1 })
  version: number;

  @Column({ type: 'timestamptz', name: 'started_at', precision: 3, default: () => 'clock_timestamp()' })
  startedAt: Date;

  @Column({ type: 'timestamptz', name: 'updated_at', precision: 3, default: () => 'clock_timestamp()' })
  updatedAt: Date;

  @Column({ type: 'timestamptz', name: 'ended_at', precision: 3, nullable: true })
  endedAt: Date | null;
}

/** What the ground floor keeps in schema `vigia`, for the comparison with the migrations. */
export const CORE_ENTITIES = [
  BusVersionEntity,
  LeaseEntity,
  OutboxEntity,
  WorkerHeartbeatEntity,
  JobProgressEntity,
];
