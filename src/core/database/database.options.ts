import type { DataSource } from 'typeorm';

/** How to reach PostgreSQL: an address of our own, or the data source that the surrounding app already has. */
export type DatabaseOptions = (DatabaseAddress | ExistingDataSource) & DatabaseTuning;

export interface DatabaseAddress {
  /** `postgres://user:password@host:port/name` */
  readonly url: string;
  /** Connections that are kept open. */
  readonly poolMax?: number;
  /** Further connections opened under load and closed when idle. */
  readonly poolOverflow?: number;
  /** Age at which a connection is replaced, in milliseconds. */
  readonly connectionMaxAgeMs?: number;
  /** How long the start waits for a connection, in milliseconds. */
  readonly connectTimeoutMs?: number;
}

export interface ExistingDataSource {
  readonly dataSource: DataSource;
}

export interface DatabaseTuning {
  /** Statements at least this slow are logged and counted. */
  readonly slowQueryMs?: number;
}

export const DATABASE_DEFAULTS = {
  poolMax: 20,
  poolOverflow: 30,
  connectionMaxAgeMs: 3_600_000,
  connectTimeoutMs: 30_000,
  slowQueryMs: 1_000,
} as const;

/** The server ends a statement that runs longer; nothing of ours needs nearly as much. */
export const STATEMENT_TIMEOUT_MS = 60_000;
