import { Database } from '../../src/core/database/database.js';
import { MAX_API_KEYS } from '../../src/modules/access/api-keys/api-keys.service.js';
import { LastSeen } from '../../src/modules/access/authentication/last-seen.js';
import { accessApp, type AccessApp } from '../support/access-app.js';
import { eventually } from '../support/eventually.js';

describe('API keys', () => {
  let vigia: AccessApp;
  let admin: string;
  beforeAll(async () => {
    vigia = await accessApp();
    admin = await vigia.adminToken();
  });
  afterAll(() => vigia.close());

  const create = async (body: object = {}) =>
    vigia.call('POST', '/api-keys', {
      as: admin,
      body: { name: 'robot', role: 'admin', tier: 'pro', ...body },
    });
  const use = async (key: string) => (await vigia.call('GET', '/users', { key })).status;
  const sql = (text: string, values: unknown[] = []) => vigia.app.get(Database).query(text, values);

  it('shows a key once, with its id in it, and lets it do what its role may', async () => {
    const { status, body } = await create();
    expect(status).toBe(201);
    expect(body.key).toMatch(new RegExp(`^vgk_${String(body.id)}_[A-Za-z0-9_-]{43}$`));
    expect(body).toMatchObject({
      name: 'robot',
      role: 'admin',
      tier: 'pro',
      expiresAt: null,
      lastUsedAt: null,
    });
    expect(await use(body.key)).toBe(200);
    const list = await vigia.call('GET', '/api-keys', { as: admin });
    const secret = String(body.key).slice(-43);
    expect(list.text).toContain(body.id);
    expect(list.text).not.toContain(secret);
    expect(list.body.items[0]).not.toHaveProperty('key');
    expect(JSON.stringify(await sql('SELECT k::text FROM vigia.api_keys k'))).not.toContain(secret);
  });

  it('keeps a key to its role, and from what belongs to persons', async () => {
    const { body } = await create({ role: 'viewer' });
    expect(await use(body.key)).toBe(403);
    const root = (await create()).body.key;
    for (const [method, path] of [
      ['GET', '/auth/me'],
      ['PATCH', '/auth/me'],
      ['POST', '/auth/password'],
      ['POST', '/auth/logout'],
      ['POST', '/auth/logout-all'],
    ] as const) {
      expect([path, (await vigia.call(method, path, { key: root })).status]).toEqual([path, 403]);
    }
  });

  it.each<[string, (key: string) => string]>([
    ['a wrong last character', (key) => key.slice(0, -1) + (key.endsWith('A') ? 'Q' : 'A')],
    [
      'a wrong first character of the secret',
      (key) => key.slice(0, -43) + (key.at(-43) === 'A' ? 'B' : 'A') + key.slice(-42),
    ],
    ['an unknown id', (key) => `vgk_01890000-0000-7000-8000-000000000000${key.slice(40)}`],
    ['no secret', (key) => key.slice(0, 41)],
    ['a longer secret', (key) => `${key}A`],
    ['only a word', () => 'letmein'],
    ['SQL for an id', (key) => `vgk_' OR 1=1 --${key.slice(40)}`],
    ['the prefix alone', () => 'vgk__'],
  ])('refuses %s', async (_, change) => {
    const { key } = (await create()).body;
    expect(await use(change(key))).toBe(401);
  });

  it('is not opened by the digest that the table holds', async () => {
    const { id } = (await create()).body;
    const rows = await sql('SELECT secret_hash FROM vigia.api_keys WHERE id = $1', [id]);
    const digest = (rows[0]!.secret_hash as Buffer).toString('base64url');
    expect(await use(`vgk_${String(id)}_${digest}`)).toBe(401);
  });

  it('stops a deleted key within a second, and again knows nothing of it', async () => {
    const { id, key } = (await create()).body;
    expect(await use(key)).toBe(200);
    expect((await vigia.call('DELETE', `/api-keys/${id}`, { as: admin })).status).toBe(204);
    await eventually(async () => (await use(key)) === 401, 1_000);
    for (const untilMs = performance.now() + 1_300; performance.now() < untilMs;)
      expect(await use(key)).toBe(401);
    expect((await vigia.call('DELETE', `/api-keys/${id}`, { as: admin })).status).toBe(404);
    expect((await vigia.call('GET', '/api-keys?limit=1000', { as: admin })).text).not.toContain(id);
  });

  it('stops a key the moment it expires', async () => {
    const { key } = (await create({ expiresAt: new Date(Date.now() + 800).toISOString() })).body;
    expect(await use(key)).toBe(200);
    await eventually(async () => (await use(key)) === 401, 2_000);
  });

  it('takes expiry dates in the future only, and no field it does not know', async () => {
    expect((await create({ expiresAt: '2020-01-01T00:00:00.000Z' })).status).toBe(400);
    expect((await create({ expiresAt: 'tomorrow' })).status).toBe(400);
    expect((await create({ id: '01890000-0000-7000-8000-000000000000' })).status).toBe(400);
    expect((await create({ key: 'vgk_a_b' })).status).toBe(400);
    expect((await create({ tier: undefined })).status).toBe(400);
  });

  it('notes when a key was last used, in batches', async () => {
    const { id, key } = (await create()).body;
    for (let i = 0; i < 5; i++) await use(key);
    await vigia.app.get(LastSeen).flush();
    const { items } = (await vigia.call('GET', '/api-keys?limit=1000', { as: admin })).body;
    const used = items.find((item: { id: string }) => item.id === id).lastUsedAt;
    expect(Date.parse(used)).toBeGreaterThan(Date.now() - 60_000);
  });

  it('keeps at most a thousand keys', async () => {
    await sql(
      `INSERT INTO vigia.api_keys (id, name, role, tier, secret_hash, created_by)
       SELECT gen_random_uuid(), 'bulk', 'user', 'free', '', 'test' FROM generate_series(1, $1::int - (SELECT count(*) FROM vigia.api_keys WHERE deleted_at IS NULL AND (expires_at IS NULL OR expires_at > clock_timestamp()))::int)`,
      [MAX_API_KEYS],
    );
    const { status, body } = await create();
    expect([status, body.code]).toEqual([409, 'API_KEY_LIMIT']);
    await sql(`UPDATE vigia.api_keys SET expires_at = clock_timestamp() WHERE id IN (
      SELECT id FROM vigia.api_keys WHERE name = 'bulk' LIMIT 3)`);
    const answers = await Promise.all(Array.from({ length: 50 }, () => create()));
    const made = answers.filter(({ status: answered }) => answered === 201);
    expect(made).toHaveLength(3); // those that expired open nothing and so count no more
    expect(answers.filter(({ status: answered }) => answered === 409)).toHaveLength(47);
  });
});
