import pg from 'pg';
import { DataSource } from 'typeorm';
import { MIGRATIONS } from '../../migrations/index.js';
import { addressOfUrl } from '../../src/core/database/address.js';
import { migrate, pendingMigrations, revertLast, SchemaNewerError } from '../../src/core/database/migrate.js';
import { ENTITIES } from '../../src/database/entities.js';
import { createDatabase } from '../support/test-database.js';

const NAMES = MIGRATIONS.map(({ name }) => name);

describe('migrations', () => {
  let target: Awaited<ReturnType<typeof createDatabase>>;
  beforeEach(async () => {
    target = await createDatabase();
  });
  afterEach(() => target.drop());

  const sql = async (text: string) => {
    const client = new pg.Client({ connectionString: target.url });
    await client.connect();
    try {
      return (await client.query(text)).rows as Record<string, unknown>[];
    } finally {
      await client.end();
    }
  };

  it('run once, however many instances start together', async () => {
    const ran = await Promise.all([1, 2, 3].map(() => migrate(addressOfUrl(target.url))));
    expect(ran.flat()).toEqual(NAMES);
    expect(await pendingMigrations(addressOfUrl(target.url))).toEqual([]);
  });

  it('go down to nothing and up again', async () => {
    const address = addressOfUrl(target.url);
    await migrate(address);
    for (const name of [...NAMES].reverse()) expect(await revertLast(address)).toBe(name);
    expect(await revertLast(address)).toBeNull();
    expect(
      await sql(
        `SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'vigia' AND c.relkind IN ('r', 'v') AND c.relname <> 'migrations'`,
      ),
    ).toEqual([]);
    expect(
      await sql(
        `SELECT p.proname FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE n.nspname = 'vigia'`,
      ),
    ).toEqual([]);
    expect(await migrate(address)).toEqual(NAMES);
  });

  it('make exactly the tables that the entities describe', async () => {
    await migrate(addressOfUrl(target.url));
    const dataSource = new DataSource({
      type: 'postgres',
      url: target.url,
      schema: 'vigia',
      entities: [...ENTITIES],
    });
    await dataSource.initialize();
    try {
      const { upQueries } = await dataSource.driver.createSchemaBuilder().log();
      expect(upQueries.map(({ query }) => query)).toEqual([]);
    } finally {
      await dataSource.destroy();
    }
    const described = ENTITIES.length;
    const tables = await sql(
      `SELECT 1 FROM pg_tables WHERE schemaname = 'vigia' AND tablename <> 'migrations'`,
    );
    expect(tables).toHaveLength(described);
  });

  it('refuse a database that a newer version has migrated, and name the migration', async () => {
    await migrate(addressOfUrl(target.url));
    await sql(`INSERT INTO vigia.migrations (timestamp, name) VALUES (9999999999999, 'Future9999999999999')`);
    await expect(migrate(addressOfUrl(target.url))).rejects.toThrow(SchemaNewerError);
    await expect(migrate(addressOfUrl(target.url))).rejects.toThrow('Future9999999999999');
  });
});
