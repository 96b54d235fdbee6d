import pg from 'pg';
import { DataSource, type MigrationInterface } from 'typeorm';
import { MIGRATIONS } from '../../../migrations/index.js';
import { VigiaError } from '../errors/errors.js';
import type { Address } from './address.js';

/** One number for all of Vigia's migration runs, in whatever process. */
const MIGRATION_LOCK = 0x76696769;
const LOCK_TIMEOUT_MS = 60_000;
const CONNECT_TIMEOUT_MS = 10_000;

/** The database was migrated by a newer Vigia than this one. */
export class SchemaNewerError extends VigiaError {
  constructor(migration: string) {
    super(
      500,
      'SCHEMA_NEWER',
      `the database holds migration ${migration}, which this version of Vigia does not know: start the newer version, or restore a backup made before the upgrade`,
    );
  }
}

/**
 * Brings schema `vigia` up to date. Instances that start together wait for each other.
 * @param address where the database is; the role must be allowed to create schemas
 * @returns names of the migrations that ran
 */
export async function migrate(address: Address): Promise<string[]> {
  return underLock(address, async (client) => {
    await ensureSchema(client);
    await refuseNewer(client);
    return withMigrations(address, async (dataSource) =>
      (await dataSource.runMigrations({ transaction: 'each' })).map(({ name }) => name),
    );
  });
}

/** Takes the newest migration back. @returns its name, or null when there is none */
export async function revertLast(address: Address): Promise<string | null> {
  return underLock(address, async (client) => {
    const last = (await appliedMigrations(client)).at(-1);
    if (!last) return null;
    await withMigrations(address, (dataSource) => dataSource.undoLastMigration({ transaction: 'each' }));
    return last;
  });
}

/** Migrations that this version has and the database has not. */
export async function pendingMigrations(address: Address): Promise<string[]> {
  const client = await connectTo(address);
  try {
    const applied = new Set(await appliedMigrations(client));
    return MIGRATIONS.map(nameOf).filter((name) => !applied.has(name));
  } finally {
    await client.end();
  }
}

async function connectTo(address: Address): Promise<pg.Client> {
  const client = new pg.Client({
    ...address.pg,
    lock_timeout: LOCK_TIMEOUT_MS,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    keepAlive: true,
  });
  // A cut while no statement runs is an event, and an unheard error event ends the process; the next
  // statement fails by itself.
  client.on('error', () => undefined);
  await client.connect();
  return client;
}

async function underLock<T>(address: Address, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = await connectTo(address);
  try {
    await client.query('SELECT pg_advisory_lock($1)', [MIGRATION_LOCK]);
    return await work(client);
  } finally {
    await client.end(); // ends the session and with it the lock
  }
}

/** Even IF NOT EXISTS needs the right to create schemas, which a role that finds the schema there may lack. */
async function ensureSchema(client: pg.Client): Promise<void> {
  const { rows } = await client.query(`SELECT 1 FROM pg_namespace WHERE nspname = 'vigia'`);
  if (rows.length === 0) await client.query('CREATE SCHEMA vigia');
}

async function refuseNewer(client: pg.Client): Promise<void> {
  const known = new Set(MIGRATIONS.map(nameOf));
  const unknown = (await appliedMigrations(client)).find((name) => !known.has(name));
  if (unknown) throw new SchemaNewerError(unknown);
}

async function appliedMigrations(client: pg.Client): Promise<string[]> {
  const { rows: found } = await client.query<{ found: string | null }>(
    `SELECT to_regclass('vigia.migrations')::text AS found`,
  );
  if (!found[0]?.found) return [];
  const { rows } = await client.query<{ name: string }>('SELECT name FROM vigia.migrations ORDER BY id');
  return rows.map(({ name }) => name);
}

async function withMigrations<T>(address: Address, work: (dataSource: DataSource) => Promise<T>): Promise<T> {
  const dataSource = new DataSource({
    type: 'postgres',
    ...address.typeorm,
    schema: 'vigia',
    migrations: [...MIGRATIONS],
    migrationsTableName: 'migrations',
    extra: { max: 2 },
  });
  await dataSource.initialize();
  try {
    return await work(dataSource);
  } finally {
    await dataSource.destroy();
  }
}

function nameOf(migration: new () => MigrationInterface): string {
  return migration.name;
}
