import type { MigrationInterface, QueryRunner } from 'typeorm';

/** What each component was and when, and the outside targets that are watched. */
export class Health1763640000300 implements MigrationInterface {
  readonly name = 'Health1763640000300';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE vigia.component_status (
        id uuid NOT NULL,
        component varchar(128) NOT NULL,
        instance varchar(256),
        status varchar(16) NOT NULL,
        started_at timestamptz(3) NOT NULL,
        confirmed_at timestamptz(3) NOT NULL,
        ended_at timestamptz(3),
        grace_ms integer NOT NULL,
        CONSTRAINT pk_component_status PRIMARY KEY (id),
        CONSTRAINT ck_component_status_status CHECK (status IN ('up', 'degraded', 'down')))`);
    await runner.query(
      'CREATE INDEX ix_component_status_component ON vigia.component_status (component, started_at)',
    );
    await runner.query(
      'CREATE INDEX ix_component_status_open ON vigia.component_status (instance) WHERE ended_at IS NULL',
    );
    await runner.query(`
      CREATE TABLE vigia.outside_checks (
        id uuid NOT NULL,
        name varchar(100) NOT NULL,
        kind varchar(16) NOT NULL,
        target varchar(2048) NOT NULL,
        interval_ms integer NOT NULL,
        timeout_ms integer NOT NULL,
        degraded_above_ms integer NOT NULL,
        critical boolean NOT NULL,
        created_at timestamptz(3) NOT NULL DEFAULT clock_timestamp(),
        updated_at timestamptz(3) NOT NULL DEFAULT clock_timestamp(),
        state jsonb,
        checked_at timestamptz(3),
        CONSTRAINT pk_outside_checks PRIMARY KEY (id),
        CONSTRAINT uq_outside_checks_name UNIQUE (name),
        CONSTRAINT ck_outside_checks_kind CHECK (kind IN ('http', 'tcp', 'postgres', 'redis', 's3')))`);
    // The same arithmetic as GET /monitoring/uptime: down when all who watch say so, degraded when they
    // disagree, unknown when nobody watches; what no interval covers was not watched.
    await runner.query(`
      CREATE VIEW vigia.v_component_uptime_24h AS
      WITH clock AS (SELECT now() AS now),
      seen AS (SELECT component, min(started_at) AS first_at FROM vigia.component_status GROUP BY component),
      bounds AS (
        SELECT component, greatest(first_at, clock.now - interval '24 hours') AS from_at, clock.now AS to_at FROM seen, clock),
      intervals AS (
        SELECT s.component, s.instance, s.status, greatest(s.started_at, b.from_at) AS start_at,
          least(coalesce(s.ended_at, CASE WHEN s.confirmed_at + s.grace_ms * interval '1 millisecond' >= b.to_at
            THEN b.to_at ELSE s.confirmed_at END), b.to_at) AS end_at
        FROM vigia.component_status s JOIN bounds b USING (component)
        WHERE s.ended_at IS NULL OR s.ended_at > b.from_at),
      edges AS (
        SELECT component, start_at AS at FROM intervals WHERE end_at > start_at
        UNION SELECT component, end_at FROM intervals WHERE end_at > start_at
        UNION SELECT component, from_at FROM bounds
        UNION SELECT component, to_at FROM bounds),
      pieces AS (
        SELECT component, at AS start_at, lead(at) OVER (PARTITION BY component ORDER BY at) AS end_at FROM edges),
      opinions AS (
        SELECT p.component, p.start_at, p.end_at, i.instance,
          max(CASE i.status WHEN 'up' THEN 0 WHEN 'degraded' THEN 1 WHEN 'down' THEN 2 END) AS worst
        FROM pieces p
        LEFT JOIN intervals i ON i.component = p.component AND i.start_at <= p.start_at AND i.end_at >= p.end_at
        WHERE p.end_at > p.start_at
        GROUP BY p.component, p.start_at, p.end_at, i.instance),
      slices AS (
        SELECT component, extract(epoch FROM end_at - start_at) * 1000 AS ms,
          CASE WHEN max(worst) IS NULL THEN 'unknown' WHEN min(worst) = 2 THEN 'down' WHEN max(worst) = 0 THEN 'up' ELSE 'degraded' END AS status
        FROM opinions GROUP BY component, start_at, end_at)
      SELECT component,
        coalesce(sum(ms) FILTER (WHERE status = 'up'), 0)::bigint AS up_ms,
        coalesce(sum(ms) FILTER (WHERE status = 'degraded'), 0)::bigint AS degraded_ms,
        coalesce(sum(ms) FILTER (WHERE status = 'down'), 0)::bigint AS down_ms,
        coalesce(sum(ms) FILTER (WHERE status = 'unknown'), 0)::bigint AS unknown_ms,
        (100 * coalesce(sum(ms) FILTER (WHERE status = 'up'), 0) / nullif(sum(ms), 0))::double precision AS up_percent
      FROM slices GROUP BY component`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP VIEW vigia.v_component_uptime_24h');
    await runner.query('DROP TABLE vigia.outside_checks');
    await runner.query('DROP TABLE vigia.component_status');
  }
}
