import type { MigrationInterface, QueryRunner } from 'typeorm';

/** What the ground floor keeps: control-plane versions, leases, outbox, job progress. */
export class Core1763640000000 implements MigrationInterface {
  readonly name = 'Core1763640000000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE vigia.bus_versions (
        topic varchar(64) NOT NULL,
        version bigint NOT NULL,
        CONSTRAINT pk_bus_versions PRIMARY KEY (topic))`);
    await runner.query(`
      CREATE TABLE vigia.leases (
        name varchar(128) NOT NULL,
        holder varchar(256) NOT NULL,
        token bigint NOT NULL,
        expires_at timestamptz(3) NOT NULL,
        CONSTRAINT pk_leases PRIMARY KEY (name))`);
    await runner.query(`
      CREATE TABLE vigia.outbox (
        id uuid NOT NULL,
        topic varchar(64) NOT NULL,
        key varchar(256) NOT NULL,
        payload jsonb NOT NULL,
        state varchar(16) NOT NULL DEFAULT 'pending',
        attempts integer NOT NULL DEFAULT 0,
        next_attempt_at timestamptz(3) NOT NULL DEFAULT clock_timestamp(),
        last_error varchar(500),
        created_at timestamptz(3) NOT NULL DEFAULT clock_timestamp(),
        sent_at timestamptz(3),
        CONSTRAINT pk_outbox PRIMARY KEY (id),
        CONSTRAINT uq_outbox_topic_key UNIQUE (topic, key),
        CONSTRAINT ck_outbox_state CHECK (state IN ('pending', 'sent', 'dead')))`);
    await runner.query(
      `CREATE INDEX ix_outbox_due ON vigia.outbox (next_attempt_at) WHERE state = 'pending'`,
    );
    await runner.query(`
      CREATE TABLE vigia.worker_heartbeat (
        id smallint NOT NULL,
        at timestamptz(3) NOT NULL,
        CONSTRAINT pk_worker_heartbeat PRIMARY KEY (id),
        CONSTRAINT ck_worker_heartbeat_one CHECK (id = 1))`);
    await runner.query(`
      CREATE TABLE vigia.job_progress (
        job_id uuid NOT NULL,
        kind varchar(64) NOT NULL,
        owner_id varchar(128),
        external boolean NOT NULL DEFAULT false,
        state varchar(16) NOT NULL,
        phase varchar(128),
        done double precision NOT NULL DEFAULT 0,
        total double precision,
        unit varchar(32),
        error_code varchar(64),
        error_message varchar(500),
        result jsonb,
        version integer NOT NULL DEFAULT 1,
        started_at timestamptz(3) NOT NULL DEFAULT clock_timestamp(),
        updated_at timestamptz(3) NOT NULL DEFAULT clock_timestamp(),
        ended_at timestamptz(3),
        CONSTRAINT pk_job_progress PRIMARY KEY (job_id),
        CONSTRAINT ck_job_progress_state CHECK (state IN ('queued', 'running', 'succeeded', 'failed', 'cancelled')))`);
    await runner.query(
      `CREATE INDEX ix_job_progress_open ON vigia.job_progress (updated_at) WHERE state IN ('queued', 'running')`,
    );
  }

  async down(runner: QueryRunner): Promise<void> {
    for (const table of ['job_progress', 'worker_heartbeat', 'outbox', 'leases', 'bus_versions']) {
      await runner.query(`DROP TABLE vigia.${table}`);
    }
  }
}
