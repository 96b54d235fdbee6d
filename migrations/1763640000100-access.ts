import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Users, sessions, API keys, revoked external tokens, login limits and the audit log. */
export class Access1763640000100 implements MigrationInterface {
  readonly name = 'Access1763640000100';

  async up(runner: QueryRunner): Promise<void> {
    await createUsers(runner);
    await createSessions(runner);
    await createApiKeys(runner);
    await createLoginAttempts(runner);
    await createAuditLog(runner);
    await createValidateUserSession(runner);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      DO $$ BEGIN
        IF obj_description(to_regprocedure('public.validate_user_session(uuid)'), 'pg_proc') = '${WRAPPER_COMMENT}' THEN
          DROP FUNCTION public.validate_user_session(uuid);
        END IF;
      END $$`);
    await runner.query('DROP FUNCTION vigia.validate_user_session(uuid)');
    const tables = ['audit_log', 'login_attempts', 'token_revocations', 'api_keys', 'sessions', 'users'];
    for (const table of tables) await runner.query(`DROP TABLE vigia.${table}`);
    await runner.query('DROP FUNCTION vigia.keep_audit_log()');
  }
}

const WRAPPER_COMMENT = 'vigia: calls vigia.validate_user_session';

async function createUsers(runner: QueryRunner): Promise<void> {
  await runner.query(`
    CREATE TABLE vigia.users (
      id uuid NOT NULL,
      email varchar(254),
      name varchar(200) NOT NULL,
      role varchar(16) NOT NULL,
      tier varchar(16) NOT NULL,
      active boolean NOT NULL DEFAULT true,
      password_hash varchar(256),
      issuer varchar(512),
      subject varchar(255),
      locale varchar(35),
      timezone varchar(64),
      tokens_valid_after timestamptz(3),
      created_at timestamptz(3) NOT NULL DEFAULT clock_timestamp(),
      last_seen_at timestamptz(3),
      deleted_at timestamptz(3),
      CONSTRAINT pk_users PRIMARY KEY (id),
      CONSTRAINT uq_users_issuer_subject UNIQUE (issuer, subject),
      CONSTRAINT ck_users_role CHECK (role IN ('user', 'viewer', 'operator', 'admin')),
      CONSTRAINT ck_users_tier CHECK (tier IN ('free', 'pro', 'enterprise')),
      CONSTRAINT ck_users_email CHECK (email = lower(email)),
      CONSTRAINT ck_users_origin CHECK ((issuer IS NULL) = (subject IS NULL)),
      CONSTRAINT ck_users_local CHECK (
        issuer IS NOT NULL OR deleted_at IS NOT NULL OR (email IS NOT NULL AND password_hash IS NOT NULL)))`);
  // A deleted user's address may be used again, and an external issuer's addresses prove nothing here.
  await runner.query(
    'CREATE UNIQUE INDEX uq_users_email ON vigia.users (email) WHERE issuer IS NULL AND deleted_at IS NULL',
  );
}

async function createSessions(runner: QueryRunner): Promise<void> {
  await runner.query(`
    CREATE TABLE vigia.sessions (
      id uuid NOT NULL,
      user_id uuid NOT NULL,
      created_at timestamptz(3) NOT NULL DEFAULT clock_timestamp(),
      expires_at timestamptz(3) NOT NULL,
      idle_expires_at timestamptz(3) NOT NULL,
      refresh_generation integer NOT NULL DEFAULT 1,
      ended_at timestamptz(3),
      end_reason varchar(32),
      CONSTRAINT pk_sessions PRIMARY KEY (id),
      CONSTRAINT fk_sessions_user FOREIGN KEY (user_id) REFERENCES vigia.users (id) ON DELETE CASCADE)`);
  await runner.query('CREATE INDEX ix_sessions_user ON vigia.sessions (user_id)');
  await runner.query('CREATE INDEX ix_sessions_expires ON vigia.sessions (expires_at)');
  await runner.query(
    'CREATE INDEX ix_sessions_ended ON vigia.sessions (ended_at) WHERE ended_at IS NOT NULL',
  );
  await runner.query(`
    CREATE TABLE vigia.token_revocations (
      key varchar(64) NOT NULL,
      expires_at timestamptz(3) NOT NULL,
      CONSTRAINT pk_token_revocations PRIMARY KEY (key))`);
}

async function createApiKeys(runner: QueryRunner): Promise<void> {
  await runner.query(`
    CREATE TABLE vigia.api_keys (
      id uuid NOT NULL,
      name varchar(200) NOT NULL,
      role varchar(16) NOT NULL,
      tier varchar(16) NOT NULL,
      secret_hash bytea NOT NULL,
      created_by varchar(128) NOT NULL,
      created_at timestamptz(3) NOT NULL DEFAULT clock_timestamp(),
      expires_at timestamptz(3),
      last_used_at timestamptz(3),
      deleted_at timestamptz(3),
      CONSTRAINT pk_api_keys PRIMARY KEY (id),
      CONSTRAINT ck_api_keys_role CHECK (role IN ('user', 'viewer', 'operator', 'admin')),
      CONSTRAINT ck_api_keys_tier CHECK (tier IN ('free', 'pro', 'enterprise')))`);
}

async function createLoginAttempts(runner: QueryRunner): Promise<void> {
  await runner.query(`
    CREATE TABLE vigia.login_attempts (
      key varchar(80) NOT NULL,
      failed_at bigint[] NOT NULL DEFAULT '{}',
      pending_at bigint[] NOT NULL DEFAULT '{}',
      updated_at timestamptz(3) NOT NULL DEFAULT clock_timestamp(),
      CONSTRAINT pk_login_attempts PRIMARY KEY (key))`);
}

async function createAuditLog(runner: QueryRunner): Promise<void> {
  await runner.query(`
    CREATE TABLE vigia.audit_log (
      id uuid NOT NULL,
      at timestamptz(3) NOT NULL,
      actor varchar(128),
      action varchar(128) NOT NULL,
      kind varchar(16) NOT NULL,
      target varchar(256),
      ip varchar(64),
      request_id varchar(128),
      result varchar(8) NOT NULL,
      code varchar(64),
      CONSTRAINT pk_audit_log PRIMARY KEY (id),
      CONSTRAINT ck_audit_log_kind CHECK (kind IN ('admin', 'personalData', 'function', 'security')),
      CONSTRAINT ck_audit_log_result CHECK (result IN ('ok', 'refused', 'failed')))`);
  await runner.query('CREATE INDEX ix_audit_log_at ON vigia.audit_log (at, id)');
  await runner.query('CREATE INDEX ix_audit_log_actor ON vigia.audit_log (actor, at)');
  await runner.query('CREATE INDEX ix_audit_log_kind ON vigia.audit_log (kind, at, id)');
  await runner.query('CREATE INDEX ix_audit_log_action ON vigia.audit_log (action, at, id)');
  await runner.query('CREATE INDEX ix_audit_log_target ON vigia.audit_log (target, at)');
  // What is written stays: only retention may delete, after saying so, and never anything recent.
  await runner.query(`
    CREATE FUNCTION vigia.keep_audit_log() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
    BEGIN
      IF TG_OP = 'DELETE' AND current_setting('vigia.audit_retention', true) = 'on' THEN
        IF OLD.at < clock_timestamp() - interval '30 days' THEN
          RETURN OLD;
        END IF;
      END IF;
      RAISE EXCEPTION 'vigia.audit_log is append-only' USING ERRCODE = 'insufficient_privilege';
    END $$`);
  await runner.query(`
    CREATE TRIGGER keep_audit_log BEFORE UPDATE OR DELETE ON vigia.audit_log
    FOR EACH ROW EXECUTE FUNCTION vigia.keep_audit_log()`);
  await runner.query(`
    CREATE TRIGGER keep_audit_log_whole BEFORE TRUNCATE ON vigia.audit_log
    FOR EACH STATEMENT EXECUTE FUNCTION vigia.keep_audit_log()`);
}

async function createValidateUserSession(runner: QueryRunner): Promise<void> {
  // SECURITY DEFINER: who is granted EXECUTE needs no right on the tables. The audit row belongs to the
  // caller's transaction: one that is rolled back takes it away again, and the answer is all that was had.
  await runner.query(`
    CREATE FUNCTION vigia.validate_user_session(session_id uuid) RETURNS boolean
    LANGUAGE plpgsql VOLATILE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    DECLARE
      valid boolean;
      now_us bigint := (extract(epoch FROM clock_timestamp()) * 1000000)::bigint;
      -- UUIDv7: milliseconds, then the microseconds as the twelve bits after the version, so that ids keep the order.
      audit_id uuid := (lpad(to_hex(now_us / 1000), 12, '0') || '7' || lpad(to_hex(now_us % 1000 * 4096 / 1000), 3, '0')
                        || substr(gen_random_uuid()::text, 20))::uuid;
    BEGIN
      SELECT EXISTS (
        SELECT 1 FROM vigia.sessions s JOIN vigia.users u ON u.id = s.user_id
        WHERE s.id = validate_user_session.session_id AND s.ended_at IS NULL
          AND s.expires_at > clock_timestamp() AND s.idle_expires_at > clock_timestamp()
          AND u.active AND u.deleted_at IS NULL) INTO valid;
      INSERT INTO vigia.audit_log (id, at, actor, action, kind, target, ip, result)
      VALUES (audit_id, to_timestamp(now_us / 1000 / 1000.0), 'database:' || session_user, 'validate_user_session', 'function',
              validate_user_session.session_id::text, host(inet_client_addr()),
              CASE WHEN valid THEN 'ok' ELSE 'refused' END);
      RETURN valid;
    END $$`);
  await runner.query('REVOKE ALL ON FUNCTION vigia.validate_user_session(uuid) FROM PUBLIC');
  // Callable without the schema's name where that disturbs nobody: public is ours to write, the name is free.
  await runner.query(`
    DO $$ BEGIN
      IF to_regnamespace('public') IS NOT NULL AND has_schema_privilege('public', 'CREATE')
         AND to_regprocedure('public.validate_user_session(uuid)') IS NULL THEN
        CREATE FUNCTION public.validate_user_session(session_id uuid) RETURNS boolean
          LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp
          AS 'SELECT vigia.validate_user_session(session_id)';
        REVOKE ALL ON FUNCTION public.validate_user_session(uuid) FROM PUBLIC;
        COMMENT ON FUNCTION public.validate_user_session(uuid) IS '${WRAPPER_COMMENT}';
      END IF;
    END $$`);
}
