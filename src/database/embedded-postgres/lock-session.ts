import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { DATABASE, ROLE } from './cluster.js';
import { EmbeddedPostgresError, NotYetError, codeOf, reasonOf } from './errors.js';

/** One number for all processes that use the server: "vigia pg" in ASCII. */
const LOCK_KEY = '8532464671328858215';
const CONNECT_TIMEOUT_MS = 5_000;
const QUERY_TIMEOUT_MS = 15_000;
const CLOSE_TIMEOUT_MS = 1_000;

/**
 * The session by which a process says that it uses the server. It holds the shared advisory lock
 * for as long as the process lives, so that `kill -9` lets go of it too, and its end tells us that
 * the server died. On database `postgres`: advisory locks count per database, and a restore may
 * drop and rename the other one.
 */
export class LockSession {
  private cause = 'it was closed';
  private readonly ended: Promise<void>;

  private constructor(private readonly client: Client) {
    // Without a listener a lost connection would end the process.
    client.on('error', (error) => (this.cause = reasonOf(error)));
    this.ended = new Promise((resolve) => client.once('end', resolve));
  }

  /** Throws `NotYetError` while the server comes or goes, `PASSWORD_REJECTED` if it will never do. */
  static async open(port: number, password: string): Promise<LockSession> {
    const client = new Client({
      host: '127.0.0.1',
      port,
      user: ROLE,
      password,
      database: 'postgres',
      ssl: false,
      application_name: 'vigia supervisor',
      connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
      query_timeout: QUERY_TIMEOUT_MS,
    });
    const session = new LockSession(client);
    await client.connect().catch((error: unknown) => Promise.reject(explain(error)));
    return session;
  }

  /** False while another process, holding the exclusive lock, is about to stop the server. */
  holdShared(): Promise<boolean> {
    return this.ask('SELECT pg_try_advisory_lock_shared($1) AS yes', [LOCK_KEY]);
  }

  /** True if nobody else uses the server; from then on nobody can join it. */
  async exchangeForExclusive(): Promise<boolean> {
    await this.ask('SELECT true AS yes FROM pg_advisory_unlock_all()');
    return this.ask('SELECT pg_try_advisory_lock($1) AS yes', [LOCK_KEY]);
  }

  async ensureDatabase(): Promise<void> {
    if (await this.ask('SELECT true AS yes FROM pg_database WHERE datname = $1', [DATABASE])) return;
    try {
      await this.client.query(`CREATE DATABASE "${DATABASE}"`);
    } catch (error) {
      // Another process made it meanwhile: duplicate_database, or the catalogue's unique index.
      if (!['42P04', '23505'].includes(codeOf(error) ?? '')) throw explain(error);
    }
  }

  /** Says why, once the session has ended for whatever reason, `close` included. */
  async end(): Promise<string> {
    await this.ended;
    return this.cause;
  }

  /** Bounded: a server that hangs must not keep this process from ending. */
  async close(): Promise<void> {
    const timeout = new AbortController();
    const tooLong = sleep(CLOSE_TIMEOUT_MS, undefined, { signal: timeout.signal, ref: false }).catch(
      () => undefined,
    );
    await Promise.race([this.client.end(), tooLong]);
    timeout.abort();
  }

  private async ask(sql: string, values: string[] = []): Promise<boolean> {
    try {
      const { rows } = await this.client.query<{ yes: boolean }>(sql, values);
      return rows[0]?.yes ?? false;
    } catch (error) {
      throw explain(error);
    }
  }
}

/** Anything but a refusal of our name and password passes: the server starts, stops or is full. */
function explain(error: unknown): Error {
  if (!codeOf(error)?.startsWith('28')) return new NotYetError(reasonOf(error), { cause: error });
  return new EmbeddedPostgresError(
    'PASSWORD_REJECTED',
    `the database refuses the password in DATA_DIR/secrets/postgres-password (${reasonOf(error)}): put the ` +
      'right one back, or set a new one as docs/operations/embedded-postgresql-password.md says',
    { cause: error },
  );
}
