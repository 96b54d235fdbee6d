import { NestFactory } from '@nestjs/core';
import { Test } from '@nestjs/testing';
import pg from 'pg';
import { userCommandModule } from '../../src/cli/user.command.js';
import { CoreModule } from '../../src/core/core.module.js';
import { addressOfUrl } from '../../src/core/database/address.js';
import { Database } from '../../src/core/database/database.js';
import { migrate } from '../../src/core/database/migrate.js';
import { LeaderLoop } from '../../src/core/leases/leader-loop.js';
import { Leases } from '../../src/core/leases/leases.js';
import { AccessModule, UsersService, type AccessOptions } from '../../src/modules/access/index.js';
import { MAX_WAITING, PasswordHasher } from '../../src/modules/access/passwords/password-hasher.js';
import { RetentionStore } from '../../src/modules/access/stores/retention.store.js';
import { eventually } from '../support/eventually.js';
import { SECRET } from '../support/access-app.js';
import { createDatabase, openTestDatabase } from '../support/test-database.js';

async function start(url: string, options: Partial<AccessOptions> = {}) {
  const testing = await Test.createTestingModule({
    imports: [
      CoreModule.forRoot({ database: { url, poolMax: 2 } }),
      AccessModule.forRoot({ jwtSecret: SECRET, ...options }),
    ],
  }).compile();
  return testing.init();
}

describe('the first administrator', () => {
  let target: Awaited<ReturnType<typeof createDatabase>>;
  beforeEach(async () => {
    target = await createDatabase();
  });
  afterEach(() => target.drop());

  it('is made once, with a generated password that is told once, by however many instances start together', async () => {
    const told: [string, string][] = [];
    const onAdminCreated = (email: string, password: string) => void told.push([email, password]);
    const apps = await Promise.all([1, 2, 3].map(() => start(target.url, { onAdminCreated })));
    apps.push(await start(target.url, { onAdminCreated }));
    expect(told).toEqual([['admin@localhost', expect.stringMatching(/^[A-Za-z0-9_-]{24}$/)]]);
    const { items } = await apps[0]!.get(UsersService).list(10);
    expect(items).toEqual([
      expect.objectContaining({ email: 'admin@localhost', role: 'admin', active: true }),
    ]);
    for (const app of apps) await app.close();
  });

  it('is not made while another instance is making it, though under another address', async () => {
    await migrate(addressOfUrl(target.url));
    const rival = new pg.Client({ connectionString: target.url });
    await rival.connect();
    await rival.query('BEGIN');
    await rival.query(
      `INSERT INTO vigia.users (id, email, name, role, tier, password_hash) VALUES (gen_random_uuid(), 'rival@x', 'Rival', 'admin', 'free', 'h')`,
    );
    const starting = start(target.url);
    const waits = `SELECT 1 FROM pg_locks l JOIN pg_database d ON d.oid = l.database WHERE NOT granted AND datname = current_database()`;
    await Promise.race([starting, eventually(async () => (await rival.query(waits)).rows.length > 0)]);
    await rival.query('COMMIT');
    await rival.end();
    const app = await starting;
    expect((await app.get(UsersService).list(10)).items.map(({ email }) => email)).toEqual(['rival@x']);
    await app.close();
  });

  it('gets the password it was given, which is told to nobody', async () => {
    const told: string[] = [];
    const app = await start(target.url, {
      admin: { email: 'Boss@Example.com', password: 'twelve chars' },
      onAdminCreated: (email) => told.push(email),
    });
    const user = await app.get(UsersService).getByEmail('boss@example.com');
    const [row] = await app
      .get(Database)
      .query<{ password_hash: string }>('SELECT password_hash FROM vigia.users WHERE id = $1', [user.id]);
    expect(await app.get(PasswordHasher).verify('twelve chars', row!.password_hash)).toBe(true);
    expect(told).toEqual([]);
    await app.close();
  });

  it('is the one that the environment names when the command line meets the database first', async () => {
    const given = { ADMIN_EMAIL: 'boss@example.com', ADMIN_PASSWORD: 'twelve chars' };
    const module = userCommandModule({ databaseUrl: target.url, jwtSecret: SECRET.toString() }, given);
    const context = await NestFactory.createApplicationContext(module, { logger: false });
    const { items } = await context.get(UsersService).list(10);
    expect(items.map(({ email }) => email)).toEqual(['boss@example.com']);
    await context.close();
  });

  it('is made without starting background work, where the process shall have none', async () => {
    const starts = jest.spyOn(LeaderLoop.prototype, 'start');
    const sweeps = () =>
      starts.mock.contexts.filter((loop) =>
        JSON.stringify(loop, ['options', 'name']).includes('access-retention'),
      );
    const idle = await start(target.url, { background: false });
    expect(sweeps()).toHaveLength(0);
    const busy = await start(target.url);
    expect(sweeps()).toHaveLength(1);
    starts.mockRestore();
    await busy.close();
    await idle.close();
  });

  it.each([
    [{ password: 'eleven char' }, "the first administrator's password must have at least 12 characters"],
    [{ email: 'nobody' }, "the first administrator's e-mail address is not one"],
  ])('is refused as %j, without repeating the value', async (admin, message) => {
    await migrate(addressOfUrl(target.url));
    await expect(start(target.url, { admin })).rejects.toThrow(new Error(message));
  });

  it('is not needed by a command line that makes users without HTTP', async () => {
    const app = await start(target.url);
    const users = app.get(UsersService);
    const made = await users.create({
      email: 'cli@example.com',
      name: 'Cli',
      role: 'viewer',
      tier: 'free',
      password: 'twelve chars',
    });
    expect((await users.setRole(made.id, 'operator')).role).toBe('operator');
    expect((await users.setPassword(made.id, 'another twelve')).id).toBe(made.id);
    await app.close();
  });
});

describe('a module without its database', () => {
  it('says in one line what it needs', async () => {
    const testing = Test.createTestingModule({
      imports: [CoreModule.forRoot({}), AccessModule.forRoot({ jwtSecret: SECRET })],
    });
    await expect(testing.compile()).rejects.toThrow('AccessModule needs CoreModule.forRoot({ database');
  });
});

describe(PasswordHasher.name, () => {
  it('tells callers to come back when two seconds of work are waiting, and serves those in line', async () => {
    const hasher = new PasswordHasher();
    await hasher.onModuleInit();
    const calls = Array.from({ length: MAX_WAITING + 2 + 3 }, () =>
      hasher.verify('x', null).catch((error: Error) => error.name),
    );
    const answers = await Promise.all(calls);
    expect(answers.filter((answer) => answer === 'OverloadedError')).toHaveLength(3);
    expect(answers.filter((answer) => answer === false)).toHaveLength(MAX_WAITING + 2);
    expect(await hasher.verify('x', null)).toBe(false);
  });

  it('takes a password in whatever way its letters were composed', async () => {
    const hasher = new PasswordHasher();
    await hasher.onModuleInit();
    const hash = await hasher.hash('pässword-long'.normalize('NFD'));
    expect(await hasher.verify('pässword-long'.normalize('NFC'), hash)).toBe(true);
  });
});

describe(RetentionStore.name, () => {
  let db: Awaited<ReturnType<typeof openTestDatabase>>;
  beforeAll(async () => {
    db = await openTestDatabase();
  });
  afterAll(() => db.close());

  it('removes what has served its time, in batches, and nothing else', async () => {
    const { database } = db;
    await database.execute(
      `INSERT INTO vigia.audit_log (id, at, action, kind, result)
       SELECT gen_random_uuid(), clock_timestamp() - age, 'x', 'admin', 'ok'
       FROM (SELECT interval '366 days' AS age FROM generate_series(1, 12000) UNION ALL SELECT interval '364 days' FROM generate_series(1, 3)) a`,
    );
    await database.execute(
      `INSERT INTO vigia.users (id, email, name, role, tier, password_hash, issuer, subject, active, deleted_at) VALUES
         (gen_random_uuid(), 'stays@x', 'Stays', 'user', 'free', 'h', NULL, NULL, true, NULL),
         (gen_random_uuid(), 'recent@x', 'Recent', 'user', 'free', NULL, NULL, NULL, false, clock_timestamp() - interval '1 day'),
         (gen_random_uuid(), 'old@x', 'Old', 'user', 'free', NULL, NULL, NULL, false, clock_timestamp() - interval '366 days'),
         (gen_random_uuid(), 'ext@x', 'Ext', 'user', 'free', NULL, 'i', 's', false, clock_timestamp() - interval '366 days')`,
    );
    await database.execute(
      `INSERT INTO vigia.sessions (id, user_id, expires_at, idle_expires_at)
       SELECT gen_random_uuid(), id, clock_timestamp() - age, clock_timestamp()
       FROM vigia.users, unnest(ARRAY[interval '25 hours', interval '23 hours']) age WHERE name = 'Stays'`,
    );
    await database.execute(
      `INSERT INTO vigia.sessions (id, user_id, expires_at, idle_expires_at, ended_at, end_reason)
       SELECT gen_random_uuid(), id, clock_timestamp() + interval '30 days', clock_timestamp(), clock_timestamp() - age, 'logout'
       FROM vigia.users, unnest(ARRAY[interval '25 hours', interval '23 hours']) age WHERE name = 'Stays'`,
    );
    await database.execute(
      `INSERT INTO vigia.login_attempts (key, updated_at) VALUES ('old', clock_timestamp() - interval '11 minutes'), ('new', clock_timestamp())`,
    );
    await database.execute(
      `INSERT INTO vigia.token_revocations (key, expires_at) VALUES ('old', clock_timestamp()), ('new', clock_timestamp() + interval '1 hour')`,
    );
    const leases = new Leases(database);
    const lease = (await leases.acquire('access-retention', 'test'))!;
    await new RetentionStore(database, leases).sweep(lease);
    const one = async (text: string) => (await database.query<{ v: unknown }>(text))[0]!.v;
    expect(await one('SELECT count(*)::int AS v FROM vigia.audit_log')).toBe(3);
    expect(
      await one(
        `SELECT json_agg(json_build_array(name, email) ORDER BY name COLLATE "C") AS v FROM vigia.users`,
      ),
    ).toEqual([
      ['Recent', 'recent@x'],
      ['Stays', 'stays@x'],
      ['deleted', null],
    ]);
    expect(await one('SELECT count(*)::int AS v FROM vigia.sessions')).toBe(2);
    expect(await one('SELECT string_agg(key, $$,$$) AS v FROM vigia.login_attempts')).toBe('new');
    expect(await one('SELECT string_agg(key, $$,$$) AS v FROM vigia.token_revocations')).toBe('new');
  });

  it('does nothing for a holder whose lease has passed on', async () => {
    const leases = new Leases(db.database);
    const lease = (await leases.acquire('passing', 'a'))!;
    await leases.release(lease);
    await leases.acquire('passing', 'b');
    await expect(new RetentionStore(db.database, leases).sweep(lease)).rejects.toThrow('passed to another');
  });
});

describe('the wrapper of validate_user_session in schema public', () => {
  const functions = async (url: string) => {
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    const { rows } = await client.query<{ source: string }>(
      `SELECT prosrc AS source FROM pg_proc WHERE oid = to_regprocedure('public.validate_user_session(uuid)')`,
    );
    await client.end();
    return rows;
  };

  it("leaves somebody else's function of that name alone", async () => {
    const target = await createDatabase();
    const client = new pg.Client({ connectionString: target.url });
    await client.connect();
    await client.query(
      `CREATE FUNCTION public.validate_user_session(session_id uuid) RETURNS boolean LANGUAGE sql AS 'SELECT true'`,
    );
    await client.end();
    await migrate(addressOfUrl(target.url));
    expect(await functions(target.url)).toEqual([{ source: 'SELECT true' }]);
    await target.drop();
  });
});
