import { Logger } from '@nestjs/common';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Pool, PoolClient, QueryConfig, QueryResultRow } from 'pg';
import type { DataSource } from 'typeorm';
import { DependencyUnavailableError, ValidationFailedError } from '../errors/errors.js';
import { addressOfDataSource, type Address } from './address.js';
import { CircuitBreaker } from './circuit-breaker.js';
import { DATABASE_DEFAULTS } from './database.options.js';
import {
  isConnectionLost,
  isNothingSent,
  isReadTimeout,
  isTransient,
  isUnstorableText,
} from './sql-errors.js';

/** Runs statements; either a pooled connection each, or all on the connection of one transaction. */
export interface Queryable {
  /** @returns the rows */
  query<Row extends QueryResultRow>(
    text: string,
    values?: readonly unknown[],
    options?: QueryOptions,
  ): Promise<Row[]>;
  /** @returns the number of rows affected */
  execute(text: string, values?: readonly unknown[], options?: QueryOptions): Promise<number>;
}

export interface QueryOptions {
  /**
   * How long the caller waits for connection and answer together, in milliseconds. Default 4,500:
   * a request must be answered within 5 s even when PostgreSQL is gone.
   */
  readonly timeoutMs?: number;
  /** The statement changes nothing, so it may run again when the connection is lost half-way. */
  readonly readOnly?: boolean;
}

export interface TransactionOptions {
  readonly timeoutMs?: number;
  /** How often a transaction that lost a race (40001, 40P01) runs again. Default 5. */
  readonly retries?: number;
}

export interface PoolStats {
  readonly size: number;
  readonly idle: number;
  readonly waiting: number;
  readonly max: number;
}

const DEFAULT_TIMEOUT_MS = 4_500;
const DEFAULT_RETRIES = 5;
/** Callers beyond this many waiting ones are refused at once instead of queueing without bound. */
const MAX_WAITING = 1_000;

/** The one text that passes every schema and cannot be stored: said once here instead of in each schema. */
const NUL_FAULT = { path: '', message: 'text must not contain the NUL character' };

/**
 * PostgreSQL as every store sees it. Adds to the pool what a service must have: a deadline on every
 * statement, refusal at once while the server is known to be away, one repetition where nothing was
 * sent, repetition of transactions that lost a race, and a log of slow statements without their values.
 */
export class Database implements Queryable {
  private readonly logger = new Logger(Database.name);
  private readonly pool: Pool;
  private readonly breaker = new CircuitBreaker();
  private readonly heard = new WeakSet<PoolClient>();
  private readonly slowQueryMs: number;
  private readonly owned: boolean;
  readonly isConfigured: boolean = true;
  /** Statements slower than the threshold, since the start. */
  slowQueries = 0;
  /** Statements under way now. */
  activeQueries = 0;

  constructor(
    readonly dataSource: DataSource,
    options: { readonly slowQueryMs?: number | undefined; readonly owned?: boolean } = {},
  ) {
    this.pool = poolOf(dataSource);
    this.slowQueryMs = options.slowQueryMs ?? DATABASE_DEFAULTS.slowQueryMs;
    this.owned = options.owned ?? true;
  }

  async query<Row extends QueryResultRow>(
    text: string,
    values: readonly unknown[] = [],
    options: QueryOptions = {},
  ): Promise<Row[]> {
    return (await this.run<Row>(text, values, options)).rows;
  }

  async execute(text: string, values: readonly unknown[] = [], options: QueryOptions = {}): Promise<number> {
    return (await this.run(text, values, options)).rowCount ?? 0;
  }

  /**
   * Runs `work` in one transaction, committed when it resolves and rolled back when it throws.
   * `work` runs again after a lost race, so it must have no effect outside the transaction.
   */
  async transaction<T>(work: (tx: Queryable) => Promise<T>, options: TransactionOptions = {}): Promise<T> {
    const deadline = performance.now() + (options.timeoutMs ?? DEFAULT_TIMEOUT_MS);
    return retrying(options.retries ?? DEFAULT_RETRIES, deadline, async () => {
      const progress = { commitSent: false };
      try {
        return await this.withClient(deadline, (client) =>
          this.runTransaction(client, deadline, work, progress),
        );
      } catch (error) {
        // Until COMMIT is sent nothing has happened, so a connection found dead is no reason to give up.
        throw progress.commitSent ? error : new RepeatableError(error);
      }
    });
  }

  /** Where this database is, for sessions that live outside the pool. */
  get address(): Address {
    return addressOfDataSource(this.dataSource);
  }

  /** @throws DatabaseRequiredError naming the module, where no database is configured */
  requireFor(_moduleName: string): void {}

  stats(): PoolStats {
    const { totalCount, idleCount, waitingCount, options } = this.pool;
    return { size: totalCount, idle: idleCount, waiting: waitingCount, max: options.max };
  }

  /** Closes the pool; a data source that the surrounding app brought stays open. */
  async close(): Promise<void> {
    if (this.owned && this.dataSource.isInitialized) await this.dataSource.destroy();
  }

  private async run<Row extends QueryResultRow>(
    text: string,
    values: readonly unknown[],
    options: QueryOptions,
  ) {
    const deadline = performance.now() + (options.timeoutMs ?? DEFAULT_TIMEOUT_MS);
    return retrying(DEFAULT_RETRIES, deadline, async () => {
      try {
        return await this.withClient(deadline, (client) => this.send<Row>(client, text, values, deadline));
      } catch (error) {
        throw options.readOnly === true || isNothingSent(causeOf(error)) ? new RepeatableError(error) : error;
      }
    });
  }

  private async runTransaction<T>(
    client: PoolClient,
    deadline: number,
    work: (tx: Queryable) => Promise<T>,
    progress: { commitSent: boolean },
  ): Promise<T> {
    const tx: Queryable = {
      query: async <Row extends QueryResultRow>(text: string, values: readonly unknown[] = []) =>
        (await this.send<Row>(client, text, values, deadline)).rows,
      execute: async (text, values = []) => (await this.send(client, text, values, deadline)).rowCount ?? 0,
    };
    await this.send(client, 'BEGIN', [], deadline);
    try {
      const result = await work(tx);
      progress.commitSent = true;
      await this.send(client, 'COMMIT', [], deadline);
      return result;
    } catch (error) {
      if (!isConnectionLost(error)) await this.send(client, 'ROLLBACK', [], deadline);
      throw error;
    }
  }

  /** Lends a connection; one that failed or whose deadline passed is destroyed, not handed to the next caller. */
  private async withClient<T>(deadline: number, use: (client: PoolClient) => Promise<T>): Promise<T> {
    const client = await this.checkOut(deadline);
    try {
      const result = await use(client);
      client.release();
      this.breaker.succeeded();
      return result;
    } catch (error) {
      const lost = isConnectionLost(error);
      client.release(lost);
      if (isUnstorableText(error)) throw new ValidationFailedError([NUL_FAULT]);
      if (!lost) throw error;
      if (!isReadTimeout(error)) this.breaker.failed();
      throw new DependencyUnavailableError('PostgreSQL', error);
    }
  }

  private async checkOut(deadline: number): Promise<PoolClient> {
    if (!this.breaker.mayTry() || this.pool.waitingCount >= MAX_WAITING)
      throw new DependencyUnavailableError('PostgreSQL');
    try {
      return await this.connectBefore(deadline);
    } catch (error) {
      if (!isConnectionLost(error)) throw error;
      this.breaker.failed();
      throw new DependencyUnavailableError('PostgreSQL', error);
    }
  }

  private connectBefore(deadline: number): Promise<PoolClient> {
    return new Promise((resolve, reject) => {
      let late = false;
      const timer = setTimeout(
        () => {
          late = true;
          reject(new Error('timeout exceeded when trying to connect'));
        },
        Math.max(0, deadline - performance.now()),
      );
      this.pool.connect().then(
        (client) => {
          clearTimeout(timer);
          this.hearErrors(client);
          if (late) client.release();
          else resolve(client);
        },
        (error: Error) => {
          clearTimeout(timer);
          reject(error);
        },
      );
    });
  }

  /**
   * A connection that is cut while lent out says so by an event, and an unheard error event ends the
   * process. The statement under way fails by itself, so there is nothing more to do.
   */
  private hearErrors(client: PoolClient): void {
    if (this.heard.has(client)) return;
    this.heard.add(client);
    client.on('error', (error) => this.logger.debug(`connection lost: ${error.message}`));
  }

  private async send<Row extends QueryResultRow>(
    client: PoolClient,
    text: string,
    values: readonly unknown[],
    deadline: number,
  ) {
    const startedMs = performance.now();
    const config: QueryConfig & { query_timeout: number } = {
      text,
      values: values as unknown[],
      query_timeout: Math.max(1, Math.ceil(deadline - startedMs)),
    };
    this.activeQueries += 1;
    try {
      return await client.query<Row>(config);
    } finally {
      this.activeQueries -= 1;
      this.noteIfSlow(text, performance.now() - startedMs);
    }
  }

  private noteIfSlow(text: string, tookMs: number): void {
    if (tookMs < this.slowQueryMs) return;
    this.slowQueries += 1;
    this.logger.warn(
      { tookMs: Math.round(tookMs), sql: text.replace(/\s+/g, ' ').trim().slice(0, 500) },
      'slow query',
    );
  }
}

/** Marks a lost connection after which the same attempt may be made once more. */
class RepeatableError extends Error {
  constructor(readonly original: unknown) {
    super('repeatable');
  }
}

/** Repeats what lost a race (40001, 40P01) up to `retries` times, and what lost its connection once. */
async function retrying<T>(retries: number, deadline: number, attempt: () => Promise<T>): Promise<T> {
  let reconnected = false;
  for (let tries = 1; ; tries++) {
    try {
      return await attempt();
    } catch (thrown) {
      const error = thrown instanceof RepeatableError ? thrown.original : thrown;
      const cut: boolean =
        thrown instanceof RepeatableError && !reconnected && isConnectionLost(causeOf(error));
      if (performance.now() >= deadline || (!cut && (!isTransient(error) || tries > retries))) throw error;
      reconnected ||= cut;
      if (!cut) await sleep(jitterMs(tries));
    }
  }
}

function causeOf(error: unknown): unknown {
  return error instanceof DependencyUnavailableError ? error.cause : error;
}

/** 10, 20, 40 … ms, each halved or not at random, so that the same racers do not meet again. */
function jitterMs(attempt: number): number {
  return 10 * 2 ** (attempt - 1) * (0.5 + Math.random());
}

/** TypeORM keeps its node-postgres pool here; its statements and ours share it. */
function poolOf(dataSource: DataSource): Pool {
  return (dataSource.driver as unknown as { master: Pool }).master;
}
