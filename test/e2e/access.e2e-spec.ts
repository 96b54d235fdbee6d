import pg from 'pg';
import { Database } from '../../src/core/database/database.js';
import { accessApp, ADMIN, type AccessApp } from '../support/access-app.js';
import { eventually } from '../support/eventually.js';

const UUID_V7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
const ABSENT = '01890000-0000-7000-8000-000000000000';

const WAITING =
  "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()";

describe('users and profile', () => {
  let vigia: AccessApp;
  let admin: string;
  beforeAll(async () => {
    vigia = await accessApp();
    admin = await vigia.adminToken();
  });
  afterAll(() => vigia.close());

  const create = (body: object) =>
    vigia.call('POST', '/users', {
      as: admin,
      body: { name: 'Ann', role: 'viewer', password: 'twelve chars', ...body },
    });

  it('signs the administrator in', async () => {
    const { status, body } = await vigia.login(ADMIN.email, ADMIN.password);
    expect(status).toBe(200);
    expect(Object.keys(body).sort()).toEqual(['accessToken', 'expiresInMs', 'refreshToken', 'user']);
    expect(body).toMatchObject({
      expiresInMs: 900_000,
      user: { email: ADMIN.email, role: 'admin', active: true },
    });
    expect(body.user.id).toMatch(UUID_V7);
  });

  it('makes a user with exactly the promised fields, who can sign in whatever the case of the address', async () => {
    const { status, body } = await create({ email: 'Ann@Example.COM' });
    expect(status).toBe(201);
    expect(body).toEqual({
      id: expect.stringMatching(UUID_V7),
      email: 'ann@example.com',
      name: 'Ann',
      role: 'viewer',
      tier: 'free',
      active: true,
      createdAt: expect.stringMatching(/^\d{4}-.*\.\d{3}Z$/),
      lastSeenAt: null,
    });
    expect((await vigia.login('ANN@example.com', 'twelve chars')).status).toBe(200);
  });

  it('refuses a second user of one address, in whatever case', async () => {
    await create({ email: 'twice@example.com' });
    const { status, body } = await create({ email: 'Twice@Example.com' });
    expect([status, body.code]).toEqual([409, 'CONFLICT']);
  });

  it('makes one of twenty users who ask for the same address together', async () => {
    const made = await Promise.all(Array.from({ length: 20 }, () => create({ email: 'race@example.com' })));
    expect(made.filter(({ status }) => status === 201)).toHaveLength(1);
    expect(made.filter(({ status }) => status === 409)).toHaveLength(19);
  });

  it.each([
    ['an unknown field', { extra: 1 }],
    ['an id', { id: ABSENT }],
    ['createdAt', { createdAt: '2020-01-01T00:00:00.000Z' }],
    ['a password of 11', { password: 'eleven char' }],
    ['a password of six emoji, which are twelve code units', { password: '😀😀😀😀😀😀' }],
    ['a password of more than 1,024 bytes', { password: 'ä'.repeat(513) }],
    ['an unknown role', { role: 'root' }],
    ['an unknown tier', { tier: 'gold' }],
    ['an address that is none', { email: 'nobody' }],
    ['a name of the wrong type', { name: 1 }],
    ['a name that forges lines', { name: 'a\nb' }],
    ['a name with NUL', { name: 'a\u0000b' }],
  ])('refuses %s', async (_, fault) => {
    const { status, body } = await create({ email: 'fault@example.com', ...fault });
    expect([status, body.code]).toEqual([400, 'VALIDATION_FAILED']);
  });

  it('pages through all users, each once', async () => {
    for (let i = 0; i < 5; i++) await create({ email: `page-${i}@example.com` });
    const seen: string[] = [];
    let cursor: string | null = '';
    while (cursor !== null) {
      const { status, body } = await vigia.call('GET', `/users?limit=2${cursor && `&cursor=${cursor}`}`, {
        as: admin,
      });
      expect(status).toBe(200);
      expect(body.items.length).toBeLessThanOrEqual(2);
      seen.push(...body.items.map(({ id }: { id: string }) => id));
      cursor = body.nextCursor;
    }
    const all = (await vigia.call('GET', '/users?limit=1000', { as: admin })).body.items;
    expect(seen).toEqual(all.map(({ id }: { id: string }) => id));
    expect(new Set(seen).size).toBe(seen.length);
  });

  it.each([
    'limit=0',
    'limit=1001',
    'limit=1e2',
    'limit=2&limit=3',
    'cursor=abc',
    'what=1',
    `cursor=${forged(['x'])}`,
    `cursor=${forged([1])}`,
  ])('refuses the list query %s', async (query) => {
    expect((await vigia.call('GET', `/users?${query}`, { as: admin })).status).toBe(400);
  });

  it('shows, changes and removes a user, and then knows nothing of it', async () => {
    const { id } = (await create({ email: 'short@example.com' })).body;
    expect((await vigia.call('GET', `/users/${id}`, { as: admin })).body.email).toBe('short@example.com');
    const changed = await vigia.call('PATCH', `/users/${id}`, {
      as: admin,
      body: { role: 'operator', tier: 'pro', name: 'Bo' },
    });
    expect(changed.body).toMatchObject({
      id,
      role: 'operator',
      tier: 'pro',
      name: 'Bo',
      email: 'short@example.com',
    });
    expect((await vigia.call('DELETE', `/users/${id}`, { as: admin })).status).toBe(204);
    for (const method of ['GET', 'PATCH', 'DELETE']) {
      const body = method === 'PATCH' ? { body: {} } : {};
      expect((await vigia.call(method, `/users/${id}`, { as: admin, ...body })).status).toBe(404);
    }
    expect((await create({ email: 'short@example.com' })).status).toBe(201);
  });

  it('answers 404 to an absent id and 400 to what is no id', async () => {
    expect((await vigia.call('GET', `/users/${ABSENT}`, { as: admin })).status).toBe(404);
    expect((await vigia.call('GET', '/users/..%2f', { as: admin })).status).toBe(400);
    expect((await vigia.call('DELETE', '/users/%00', { as: admin })).status).toBe(400);
  });

  it('keeps the last active administrator', async () => {
    const me = (await vigia.call('GET', '/auth/me', { as: admin })).body.id;
    const attempts = [
      vigia.call('PATCH', `/users/${me}`, { as: admin, body: { role: 'viewer' } }),
      vigia.call('PATCH', `/users/${me}`, { as: admin, body: { active: false } }),
      vigia.call('DELETE', `/users/${me}`, { as: admin }),
      vigia.call('DELETE', `/users/${String(me).toUpperCase()}`, { as: admin }),
    ];
    for (const { status, body } of await Promise.all(attempts))
      expect([status, body.code]).toEqual([409, 'LAST_ADMIN']);
  });

  it('keeps one of two administrators who are removed at the same moment', async () => {
    const second = await vigia.signIn('admin');
    const first = (await vigia.call('GET', '/auth/me', { as: admin })).body.id;
    const rival = new pg.Client({ connectionString: vigia.databaseUrl });
    await rival.connect();
    await rival.query('BEGIN');
    await rival.query(`UPDATE vigia.users SET role = 'viewer' WHERE id = $1`, [second.id]); // seen by nobody yet
    const pending = vigia.call('PATCH', `/users/${first}`, { as: admin, body: { role: 'viewer' } });
    const waits = async () => (await vigia.app.get(Database).query(WAITING)).length > 0;
    await Promise.race([pending, eventually(waits)]);
    await rival.query('COMMIT');
    await rival.end();
    const { status, body } = await pending;
    expect([status, body.code]).toEqual([409, 'LAST_ADMIN']);
  });

  it('lets a person change name, locale and time zone, and nothing else', async () => {
    const ann = await vigia.signIn('user');
    const wish = { name: 'Ann B', locale: 'pt-BR', timezone: 'Europe/Lisbon' };
    const changed = await vigia.call('PATCH', '/auth/me', { as: ann.token, body: wish });
    expect(changed.status).toBe(200);
    expect((await vigia.call('GET', '/auth/me', { as: ann.token })).body).toMatchObject({
      ...wish,
      id: ann.id,
      role: 'user',
    });
    for (const fault of [
      { id: ABSENT },
      { role: 'admin' },
      { createdAt: '2020-01-01T00:00:00.000Z' },
      { tier: 'pro' },
      { email: 'x@y.z' },
    ]) {
      expect((await vigia.call('PATCH', '/auth/me', { as: ann.token, body: fault })).status).toBe(400);
    }
    for (const fault of [{ timezone: 'Mars/Base' }, { locale: 'nonsense!' }, { name: '' }, { name: null }]) {
      expect((await vigia.call('PATCH', '/auth/me', { as: ann.token, body: fault })).status).toBe(400);
    }
    expect((await vigia.call('GET', '/auth/me', { as: ann.token })).body.role).toBe('user');
  });

  it.each(['user', 'viewer', 'operator'])(
    'keeps a %s from everything that administrators do',
    async (role) => {
      const bob = await vigia.signIn(role);
      const me = (await vigia.call('GET', '/auth/me', { as: admin })).body.id;
      const calls: [string, string][] = [
        ['GET', '/users'],
        ['POST', '/users'],
        ['GET', `/users/${me}`],
        ['GET', `/users/${ABSENT}`],
        ['PATCH', `/users/${me}`],
        ['DELETE', `/users/${me}`],
        ['GET', '/api-keys'],
        ['POST', '/api-keys'],
        ['DELETE', `/api-keys/${ABSENT}`],
        ['GET', '/audit'],
      ];
      const bodies = new Set<string>();
      for (const [method, path] of calls) {
        // The body is wrong on purpose: who may not call learns nothing of it.
        const { status, body } = await vigia.call(method, path, {
          as: bob.token,
          ...(method !== 'GET' && { body: { wrong: 1 } }),
        });
        expect([method, path, status, body.code]).toEqual([method, path, 403, 'FORBIDDEN']);
        bodies.add(body.detail);
        expect((await vigia.call(method, path)).status).toBe(401);
      }
      expect(bodies.size).toBe(1);
    },
  );

  it('never answers with a hash', async () => {
    const rows = await vigia.app
      .get(Database)
      .query<{ password_hash: string }>(
        'SELECT password_hash FROM vigia.users WHERE password_hash IS NOT NULL',
      );
    expect(rows[0]!.password_hash).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$/);
    expect(vigia.answers.length).toBeGreaterThan(50);
    for (const text of vigia.answers) expect(text).not.toMatch(/argon2|hash/i);
  });
});

function forged(key: unknown): string {
  return Buffer.from(JSON.stringify(key)).toString('base64url');
}
