import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Who called any instance lately, so that they can be counted once each. */
export class ActiveUsers1763640000400 implements MigrationInterface {
  readonly name = 'ActiveUsers1763640000400';

  async up(runner: QueryRunner): Promise<void> {
    // Unlogged: five minutes of it are worth nothing after a crash, and it is written at every collection.
    await runner.query(`
      CREATE UNLOGGED TABLE vigia.active_users (
        user_id varchar(256) NOT NULL,
        seen_at timestamptz(3) NOT NULL,
        CONSTRAINT pk_active_users PRIMARY KEY (user_id))`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE vigia.active_users');
  }
}
