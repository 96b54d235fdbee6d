import { Logger } from '@nestjs/common';
import { Database, type Queryable } from '../../src/core/database/database.js';
import { openDatabase } from '../../src/core/database/open-database.js';
import { DependencyUnavailableError } from '../../src/core/errors/errors.js';
import { eventually } from '../support/eventually.js';
import { TcpProxy } from '../support/tcp-proxy.js';
import { createDatabase } from '../support/test-database.js';

describe(Database.name, () => {
  let target: Awaited<ReturnType<typeof createDatabase>>;
  let proxy: TcpProxy;
  let database: Database;

  beforeAll(async () => {
    target = await createDatabase();
    const url = new URL(target.url);
    proxy = await TcpProxy.start({ host: url.hostname, port: Number(url.port) });
    url.port = String(proxy.port);
    database = await openDatabase({ url: url.href, poolMax: 2, poolOverflow: 3, slowQueryMs: 50 });
    await database.execute('CREATE TABLE vigia.t (id int PRIMARY KEY, n int NOT NULL DEFAULT 0)');
  });
  beforeEach(async () => {
    await proxy.pass();
    await eventually(() => database.query('SELECT 1'));
    await database.execute('TRUNCATE vigia.t');
  });
  afterAll(async () => {
    await database.close();
    await proxy.stop();
    await target.drop();
  });

  it('keeps the small pool and opens the overflow only under load', async () => {
    await Promise.all(Array.from({ length: 5 }, () => database.query('SELECT pg_sleep(0.05)')));
    expect(database.stats()).toMatchObject({ size: 5, max: 5 });
  });

  it('answers within its deadline when the server is a black hole, and recovers by itself', async () => {
    await proxy.blackHole();
    const startedMs = performance.now();
    await expect(database.query('SELECT 1', [], { timeoutMs: 300 })).rejects.toThrow(
      DependencyUnavailableError,
    );
    expect(performance.now() - startedMs).toBeLessThan(2_000);
    await proxy.pass();
    expect(await eventually(() => database.query('SELECT 1 AS one'), 10_000)).toEqual([{ one: 1 }]);
  });

  it('refuses at once, without a wait, while the server is known to be away', async () => {
    await proxy.refuse();
    for (let i = 0; i < 6; i++)
      await expect(database.query('SELECT 1', [], { timeoutMs: 200 })).rejects.toThrow(
        DependencyUnavailableError,
      );
    await proxy.blackHole();
    const startedMs = performance.now();
    await expect(database.query('SELECT 1')).rejects.toThrow(DependencyUnavailableError);
    expect(performance.now() - startedMs).toBeLessThan(100);
  });

  it('repeats a read whose connection was cut, so the caller notices nothing', async () => {
    const [row] = await database.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
    const reading = database.query('SELECT pg_sleep(0.3), 1 AS one', [], { readOnly: true });
    await eventually(() =>
      database
        .query(
          `SELECT 1 FROM pg_stat_activity WHERE query LIKE '%one%' AND pid <> pg_backend_pid() AND datname = current_database()`,
        )
        .then((r) => r.length > 0),
    );
    await database.query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() AND query LIKE '%pg_sleep(0.3)%'`,
    );
    expect(await reading).toHaveLength(1);
    expect(row).toBeDefined();
  });

  it('does not repeat a write whose connection was cut half-way: it may have happened', async () => {
    const writing = database.query(
      'WITH s AS (SELECT pg_sleep(0.3)) INSERT INTO vigia.t (id) SELECT 1 FROM s',
    );
    writing.catch(() => undefined);
    await eventually(() =>
      database
        .query(
          `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() AND query LIKE 'WITH s AS%'`,
        )
        .then((r) => r.length > 0),
    );
    await expect(writing).rejects.toThrow(DependencyUnavailableError);
    expect(await database.query('SELECT 1 FROM vigia.t')).toEqual([]);
  });

  it('runs transactions again that lost a race, each exactly once in effect', async () => {
    await database.execute('INSERT INTO vigia.t VALUES (1, 0)');
    const increment = () =>
      database.transaction(
        async (tx) => {
          await tx.execute('SET TRANSACTION ISOLATION LEVEL SERIALIZABLE');
          const [row] = await tx.query<{ n: number }>('SELECT n FROM vigia.t WHERE id = 1');
          await tx.execute('UPDATE vigia.t SET n = $1 WHERE id = 1', [row!.n + 1]);
        },
        { retries: 50 },
      );
    await Promise.all(Array.from({ length: 5 }, increment));
    expect(await database.query('SELECT n FROM vigia.t')).toEqual([{ n: 5 }]);
  });

  it('calls text that PostgreSQL cannot store a fault of the input', async () => {
    for (const sql of ['SELECT $1::text', 'SELECT $1::jsonb']) {
      const value = sql.includes('jsonb') ? '{"a":"\\u0000"}' : 'a\u0000b';
      await expect(database.query(sql, [value])).rejects.toMatchObject({
        status: 400,
        code: 'VALIDATION_FAILED',
      });
    }
  });

  it('notices nothing of a dead pooled connection: a transaction that sent no COMMIT begins anew', async () => {
    await Promise.all([database.query('SELECT pg_sleep(0.05)'), database.query('SELECT pg_sleep(0.05)')]);
    proxy.cut();
    const insert = (tx: Queryable) => tx.execute('INSERT INTO vigia.t VALUES (7, 0)');
    await eventually(() => database.transaction(insert));
    expect(await database.query('SELECT id FROM vigia.t')).toEqual([{ id: 7 }]);
  });

  it('ends a statement whose caller gave up, instead of leaving it to fill the server', async () => {
    await expect(database.query('SELECT pg_sleep(30), 4711', [], { timeoutMs: 200 })).rejects.toThrow(
      DependencyUnavailableError,
    );
    await eventually(async () => {
      const orphans = `SELECT 1 FROM pg_stat_activity WHERE query LIKE '%4711%' AND pid <> pg_backend_pid()`;
      return (await database.query(orphans)).length === 0;
    }, 4_000);
  });

  it('does not call the server away because some statements were slow', async () => {
    const slow = Array.from({ length: 3 }, () =>
      database.query('SELECT pg_sleep(5)', [], { timeoutMs: 100 }).catch(() => undefined),
    );
    await Promise.all(slow);
    await Promise.all(
      Array.from({ length: 3 }, () =>
        database.query('SELECT pg_sleep(5)', [], { timeoutMs: 100 }).catch(() => undefined),
      ),
    );
    expect(await database.query('SELECT 1 AS one')).toEqual([{ one: 1 }]);
  });

  it('rolls back everything when the work throws', async () => {
    const work = database.transaction(async (tx) => {
      await tx.execute('INSERT INTO vigia.t VALUES (1, 0)');
      throw new Error('no');
    });
    await expect(work).rejects.toThrow('no');
    expect(await database.query('SELECT 1 FROM vigia.t')).toEqual([]);
  });

  it('logs and counts slow statements with their time and without their values', async () => {
    const warn = jest.spyOn(Logger.prototype, 'warn').mockImplementation(() => undefined);
    const before = database.slowQueries;
    await database.query('SELECT pg_sleep(0.06), $1::text', ['hunter2']);
    expect(database.slowQueries).toBe(before + 1);
    expect(JSON.stringify(warn.mock.calls)).toMatch(/tookMs.*pg_sleep/);
    expect(JSON.stringify(warn.mock.calls)).not.toContain('hunter2');
    warn.mockRestore();
  });
});
