import type pg from 'pg';
import type { DataSource, DataSourceOptions } from 'typeorm';

type PostgresOptions = Extract<DataSourceOptions, { type: 'postgres' }>;

/** Where a PostgreSQL is, in the words of both libraries that connect to it. */
export interface Address {
  readonly typeorm: Pick<
    PostgresOptions,
    'url' | 'host' | 'port' | 'username' | 'password' | 'database' | 'ssl'
  >;
  readonly pg: pg.ClientConfig;
}

export function addressOfUrl(url: string): Address {
  return { typeorm: { url }, pg: { connectionString: url } };
}

/** The address of a data source that somebody else configured. */
export function addressOfDataSource({ options }: DataSource): Address {
  if (options.type !== 'postgres')
    throw new Error(`Vigia needs a PostgreSQL data source, not ${options.type}`);
  const { url, host, port, username, password, database, ssl } = options;
  const typeorm = defined({ url, host, port, username, password, database, ssl });
  if (url) return { typeorm, pg: defined({ connectionString: url, ssl }) as pg.ClientConfig };
  return { typeorm, pg: defined({ host, port, user: username, password, database, ssl }) as pg.ClientConfig };
}

/** Leaves out what is undefined, so that a library's own default applies. */
function defined<T extends object>(value: T): T {
  return Object.fromEntries(Object.entries(value).filter(([, v]) => v !== undefined)) as T;
}
