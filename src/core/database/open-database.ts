import { setTimeout as sleep } from 'node:timers/promises';
import { DataSource } from 'typeorm';
import {
  DATABASE_DEFAULTS,
  STATEMENT_TIMEOUT_MS,
  type DatabaseAddress,
  type DatabaseOptions,
} from './database.options.js';
import { addressOfDataSource } from './address.js';
import { Database } from './database.js';
import { migrate } from './migrate.js';
import { isConnectionLost } from './sql-errors.js';

/** An idle connection beyond `poolMax` is closed after this long. */
const IDLE_OVERFLOW_MS = 10_000;

/** Connects, waiting for a server that is still starting, and brings schema `vigia` up to date. */
export async function openDatabase(options: DatabaseOptions): Promise<Database> {
  const brought = 'dataSource' in options;
  const dataSource = brought ? options.dataSource : dataSourceFor(options);
  if (!dataSource.isInitialized) await initialize(dataSource, connectTimeoutOf(options));
  await migrate(addressOfDataSource(dataSource));
  return new Database(dataSource, { slowQueryMs: options.slowQueryMs, owned: !brought });
}

function dataSourceFor(address: DatabaseAddress): DataSource {
  const options = { ...DATABASE_DEFAULTS, ...withoutUndefined(address) };
  return new DataSource({
    type: 'postgres',
    url: address.url,
    schema: 'vigia',
    entities: [],
    applicationName: 'vigia',
    extra: {
      min: options.poolMax,
      max: options.poolMax + options.poolOverflow,
      idleTimeoutMillis: IDLE_OVERFLOW_MS,
      maxLifetimeSeconds: Math.ceil(options.connectionMaxAgeMs / 1000),
      connectionTimeoutMillis: options.connectTimeoutMs,
      statement_timeout: STATEMENT_TIMEOUT_MS,
      // A statement whose caller gave up at the deadline ends within a second; without this it would go on
      // for its whole minute, and repeated slow questions would fill the server with orphans.
      options: '-c client_connection_check_interval=1000',
      keepAlive: true,
      keepAliveInitialDelayMillis: 10_000,
    },
  });
}

/** A service that starts together with its database waits for it; one whose password is wrong fails at once. */
async function initialize(dataSource: DataSource, connectTimeoutMs: number): Promise<void> {
  const deadline = performance.now() + connectTimeoutMs;
  for (let pauseMs = 100; ; pauseMs = Math.min(pauseMs * 2, 2_000)) {
    try {
      await dataSource.initialize();
      return;
    } catch (error) {
      if (!isConnectionLost(error) || performance.now() + pauseMs >= deadline) throw error;
      await sleep(pauseMs);
    }
  }
}

function connectTimeoutOf(options: DatabaseOptions): number {
  return (
    ('connectTimeoutMs' in options ? options.connectTimeoutMs : undefined) ??
    DATABASE_DEFAULTS.connectTimeoutMs
  );
}

function withoutUndefined<T extends object>(value: T): T {
  return Object.fromEntries(Object.entries(value).filter(([, v]) => v !== undefined)) as T;
}
