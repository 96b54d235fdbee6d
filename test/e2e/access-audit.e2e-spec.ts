import pg from 'pg';
import { decodeJwt } from 'jose';
import type { AuditEntry } from '../../src/core/access/audit.port.js';
import { Database } from '../../src/core/database/database.js';
import {
  BufferedAuditLog,
  MAX_BUFFERED,
  MAX_NOTES_PER_CLIENT,
  MAX_NOTES_PER_MINUTE,
} from '../../src/modules/access/audit/buffered-audit-log.js';
import { AuditStore } from '../../src/modules/access/stores/audit.store.js';
import { Shutdown } from '../../src/core/lifecycle/shutdown.js';
import { FakeClock } from '../support/fake-clock.js';
import { accessApp, ADMIN, type AccessApp } from '../support/access-app.js';

describe('audit log', () => {
  let vigia: AccessApp;
  let admin: string;
  let adminId: string;
  beforeAll(async () => {
    vigia = await accessApp();
    admin = await vigia.adminToken();
    adminId = decodeJwt(admin).sub!;
  });
  afterAll(() => vigia.close());

  const find = async (query: string) =>
    (await vigia.call('GET', `/audit?${query}`, { as: admin })).body.items;
  const sql = (text: string, values: unknown[] = []) => vigia.app.get(Database).query(text, values);

  it('tells who did what, to what, when, from where, with what result', async () => {
    const made = await vigia.call('POST', '/users', {
      as: admin,
      from: '192.0.2.77',
      body: { email: 'seen@example.com', name: 'Seen', role: 'user', password: 'twelve chars' },
    });
    expect(await find(`target=${made.body.id}&action=user.create`)).toEqual([
      {
        id: expect.stringMatching(/^[0-9a-f-]{36}$/),
        at: expect.stringMatching(/Z$/),
        actor: `user:${adminId}`,
        action: 'user.create',
        kind: 'admin',
        target: made.body.id,
        ip: '192.0.2.77',
        requestId: made.headers['x-request-id'],
        result: 'ok',
        code: null,
      },
    ]);
  });

  it('holds administrative actions, failed ones too, before they are answered', async () => {
    const { id } = await vigia.signIn('user');
    const { id: keyId } = (
      await vigia.call('POST', '/api-keys', { as: admin, body: { name: 'k', role: 'user', tier: 'free' } })
    ).body;
    await vigia.call('PATCH', `/users/${id}`, { as: admin, body: { role: 'viewer' } });
    await vigia.call('DELETE', `/users/${id}`, { as: admin });
    await vigia.call('DELETE', `/users/${id}`, { as: admin });
    await vigia.call('DELETE', `/api-keys/${keyId}`, { as: admin });
    const seen = (await find(`target=${id}&kind=admin`)).map(
      ({ action, result, code }: Record<string, string>) => [action, result, code],
    );
    expect(seen).toEqual([
      ['user.delete', 'failed', 'NOT_FOUND'],
      ['user.delete', 'ok', null],
      ['user.update', 'ok', null],
      ['user.create', 'ok', null],
    ]);
    expect((await find(`target=${keyId}`)).map(({ action }: { action: string }) => action)).toEqual([
      'apiKey.delete',
      'apiKey.create',
    ]);
  });

  it('holds reads of personal data', async () => {
    await vigia.call('GET', `/users/${adminId}`, { as: admin });
    await vigia.call('GET', '/users', { as: admin });
    const actions = (await find('kind=personalData')).map(({ action }: { action: string }) => action);
    expect(actions).toEqual(expect.arrayContaining(['user.read', 'user.list', 'audit.read']));
  });

  it('holds sign-ins and refusals, soon', async () => {
    await vigia.login(ADMIN.email, 'wrong', '192.0.2.9');
    await vigia.call('GET', '/users', { from: '192.0.2.9' });
    const { token, id } = await vigia.signIn('user');
    await vigia.call('GET', '/users', { as: token, from: '192.0.2.9' });
    await vigia.app.get(BufferedAuditLog).flush();
    const refused = (await find('kind=security')).filter(({ ip }: { ip: string }) => ip === '192.0.2.9');
    const seen = refused.map(({ actor, action, result, code }: Record<string, string>) => [
      actor,
      action,
      result,
      code,
    ]);
    expect(seen).toEqual([
      [`user:${id}`, 'GET /api/v1/users', 'refused', 'FORBIDDEN'],
      [null, 'GET /api/v1/users', 'refused', 'UNAUTHENTICATED'],
      [null, 'auth.login', 'refused', 'UNAUTHENTICATED'],
    ]);
    expect(await find(`actor=user:${id}&action=auth.login`)).toHaveLength(1);
  });

  it('names the account that somebody failed to sign in to, and invents none', async () => {
    const { id, email } = await vigia.signIn('user');
    await vigia.login(email, 'wrong', '192.0.2.10');
    await vigia.login('nobody@example.com', 'wrong', '192.0.2.10');
    await vigia.app.get(BufferedAuditLog).flush();
    const seen = (await find('action=auth.login')).filter(({ ip }: { ip: string }) => ip === '192.0.2.10');
    expect(seen.map(({ actor, target }: Record<string, string>) => [actor, target])).toEqual([
      [null, null],
      [null, id],
    ]);
  });

  it('writes no row for each of the failures that any user can cause at will', async () => {
    const { id, token } = await vigia.signIn('user');
    for (let i = 0; i < 130; i++)
      expect((await vigia.call('POST', '/auth/password', { as: token, body: {} })).status).toBe(400);
    await vigia.app.get(BufferedAuditLog).flush();
    const noted = (await find(`actor=user:${id}&action=auth.password&limit=1000`)).length;
    expect(noted).toBeGreaterThan(0);
    expect(noted).toBeLessThanOrEqual(2 * MAX_NOTES_PER_CLIENT); // a minute may begin in between
  });

  it('answers what was done although it cannot be written now, and writes it later', async () => {
    const broken = jest
      .spyOn(vigia.app.get(AuditStore), 'insert')
      .mockRejectedValue(new Error('the log is broken'));
    const body = { email: 'kept@example.com', name: 'Kept', role: 'user', password: 'twelve chars' };
    const made = await vigia.call('POST', '/users', { as: admin, body });
    const absent = await vigia.call('DELETE', '/users/01890000-0000-7000-8000-000000000009', { as: admin });
    const signedIn = await vigia.login(body.email, body.password);
    expect([made.status, absent.status, signedIn.status]).toEqual([201, 404, 200]);
    broken.mockRestore();
    await vigia.app.get(BufferedAuditLog).flush();
    expect(await find(`target=${made.body.id}&action=user.create`)).toHaveLength(1);
    expect(await find(`target=${made.body.id}&action=auth.login`)).toHaveLength(1);
    expect(await find('target=01890000-0000-7000-8000-000000000009')).toEqual([
      expect.objectContaining({ action: 'user.delete', result: 'failed', code: 'NOT_FOUND' }),
    ]);
  });

  it('pages newest first, each entry once, and filters by time', async () => {
    const all = (await vigia.call('GET', '/audit?limit=1000&kind=admin', { as: admin })).body.items;
    const paged: unknown[] = [];
    let cursor: string | null = '';
    while (cursor !== null) {
      const page: { items: unknown[]; nextCursor: string | null } = (
        await vigia.call('GET', `/audit?limit=3&kind=admin${cursor && `&cursor=${cursor}`}`, { as: admin })
      ).body;
      paged.push(...page.items);
      cursor = page.nextCursor;
    }
    expect(paged).toEqual(all);
    const middle = all[Math.floor(all.length / 2)].at;
    const later = await find(`kind=admin&from=${middle}`);
    const earlier = await find(`kind=admin&to=${middle}`);
    expect([...later, ...earlier]).toEqual(all);
  });

  it.each([
    'kind=all',
    'from=yesterday',
    'from=2026-01-02T00:00:00.000Z&to=2026-01-01T00:00:00.000Z',
    'actor=a&actor=b',
    'actor[$gt]=',
    'actor=%00',
    'what=1',
    `cursor=${Buffer.from('["x","y"]').toString('base64url')}`,
    `cursor=${Buffer.from('["2026-01-01T00:00:00.000Z","y"]').toString('base64url')}`,
  ])('refuses the query %s', async (query) => {
    const { status, body } = await vigia.call('GET', `/audit?${query}`, { as: admin });
    expect([status, body.code]).toEqual([400, 'VALIDATION_FAILED']);
  });

  it('survives hostile targets', async () => {
    for (const target of ['%00', '%0d%0aforged', '%ff', 'x'.repeat(90), encodeURIComponent('<script>')]) {
      expect((await vigia.call('DELETE', `/users/${target}`, { as: admin })).status).toBe(400);
    }
  });

  it('can be appended to and not be changed', async () => {
    await expect(sql(`UPDATE vigia.audit_log SET actor = 'nobody'`)).rejects.toThrow('append-only');
    await expect(sql('DELETE FROM vigia.audit_log')).rejects.toThrow('append-only');
    await expect(sql('TRUNCATE vigia.audit_log')).rejects.toThrow('append-only');
    const young = vigia.app.get(Database).transaction(async (tx) => {
      await tx.execute(`SET LOCAL vigia.audit_retention = 'on'`);
      await tx.execute('DELETE FROM vigia.audit_log');
    });
    await expect(young).rejects.toThrow('append-only');
  });
});

describe('flood of refusals', () => {
  let vigia: AccessApp;
  beforeAll(async () => {
    vigia = await accessApp();
  });
  afterAll(() => vigia.close());

  const note = (log: BufferedAuditLog, i: number, ip = `10.0.${i >> 6}.${i & 63}`) =>
    log.note({
      atMs: 1_800_000_000_000 + i,
      actor: null,
      action: 'flood',
      kind: 'security',
      target: null,
      ip,
      requestId: null,
      result: 'refused',
      code: null,
    });
  const stored = () =>
    vigia.app
      .get(Database)
      .query(
        `SELECT action, target, count(*)::int AS count FROM vigia.audit_log WHERE action IN ('flood', 'audit.dropped') GROUP BY 1, 2 ORDER BY 1`,
      );

  it('is stored up to a bound a minute; the rest is counted in one entry', async () => {
    const clock = new FakeClock();
    const log = new BufferedAuditLog(vigia.app.get(AuditStore), clock, new Shutdown(clock));
    for (let i = 0; i < MAX_NOTES_PER_MINUTE + 250; i++) note(log, i);
    await log.flush();
    expect(await stored()).toEqual([
      { action: 'audit.dropped', target: '250 entries', count: 1 },
      { action: 'flood', target: null, count: MAX_NOTES_PER_MINUTE },
    ]);
    clock.advance(60_000);
    note(log, 1);
    await log.flush();
    expect((await stored())[1]).toMatchObject({ count: MAX_NOTES_PER_MINUTE + 1 });
  });

  it('from one client does not hide what others do', async () => {
    const written: AuditEntry[] = [];
    const store = {
      insert: async (entries: AuditEntry[]) => void written.push(...entries),
    } as unknown as AuditStore;
    const log = new BufferedAuditLog(store, new FakeClock(), new Shutdown(new FakeClock()));
    for (let i = 0; i < 5_000; i++) note(log, i, `2001:db8::${i.toString(16)}`);
    note(log, 1, '192.0.2.1');
    await log.flush();
    expect(written.filter(({ ip }) => ip?.startsWith('2001'))).toHaveLength(MAX_NOTES_PER_CLIENT);
    expect(written.filter(({ ip }) => ip === '192.0.2.1')).toHaveLength(1);
  });

  it('from many clients does not hide what known callers do', async () => {
    const written: AuditEntry[] = [];
    const store = {
      insert: async (entries: AuditEntry[]) => void written.push(...entries),
    } as unknown as AuditStore;
    const log = new BufferedAuditLog(store, new FakeClock(), new Shutdown(new FakeClock()));
    const entry = { atMs: 0, action: 'x', kind: 'security', target: null, requestId: null } as const;
    for (let i = 0; i < 5_000; i++) note(log, i);
    for (let i = 0; i < 100; i++)
      log.note({ ...entry, actor: 'user:ann', ip: `192.0.2.${i}`, result: 'refused', code: null });
    log.note({ ...entry, actor: 'user:bob', ip: '192.0.2.1', result: 'refused', code: null });
    await log.flush();
    expect(written.filter(({ actor }) => actor === 'user:ann')).toHaveLength(MAX_NOTES_PER_CLIENT);
    expect(written.filter(({ actor }) => actor === 'user:bob')).toHaveLength(1);
  });

  it('does not push out recorded actions that wait for PostgreSQL, which are bounded too', async () => {
    const written: string[] = [];
    let reachable = false;
    const store = {
      insert: async (entries: AuditEntry[]) => {
        if (!reachable) throw new Error('PostgreSQL is away');
        written.push(...entries.map(({ action, target }) => `${action} ${target ?? ''}`));
      },
    } as unknown as AuditStore;
    const clock = new FakeClock();
    const log = new BufferedAuditLog(store, clock, new Shutdown(clock));
    for (let minute = 0; minute < 3; minute++, clock.advance(60_000))
      for (let i = 0; i < 600; i++) note(log, i);
    const done = {
      atMs: 0,
      actor: 'user:ann',
      kind: 'admin',
      ip: null,
      requestId: null,
      code: null,
    } as const;
    for (let i = 0; i < MAX_BUFFERED + 5; i++)
      await log.record({ ...done, action: 'done', target: String(i), result: 'ok' });
    await expect(log.flush()).rejects.toThrow('away');
    reachable = true;
    await log.flush();
    expect(written.filter((text) => text.startsWith('done '))).toHaveLength(MAX_BUFFERED);
    expect(written[0]).toBe('done 0');
    expect(written.at(-1)).toBe(`audit.dropped ${1_800 - MAX_BUFFERED + 5} entries`);
  });

  it('keeps what PostgreSQL could not take, up to a bound, and writes it later', async () => {
    const clock = new FakeClock();
    const written: number[] = [];
    let reachable = false;
    const store = {
      insert: async (entries: readonly unknown[]) => {
        if (!reachable) throw new Error('PostgreSQL is away');
        written.push(entries.length);
      },
    } as unknown as AuditStore;
    const log = new BufferedAuditLog(store, clock, new Shutdown(clock));
    for (let minute = 0; minute < 3; minute++) {
      for (let i = 0; i < 500; i++) note(log, i);
      await expect(log.flush()).rejects.toThrow('away');
      clock.advance(60_000);
    }
    reachable = true;
    await log.flush();
    expect(written).toEqual([MAX_BUFFERED + 1]); // and one entry that counts the other 500
    await log.flush();
    expect(written).toHaveLength(1);
  });

  it('is written at the end of an orderly stop', async () => {
    const own = await accessApp({}, vigia.databaseUrl);
    await own.call('GET', '/users', { from: '192.0.2.200' });
    await own.close();
    const rows = await vigia.app
      .get(Database)
      .query(`SELECT 1 FROM vigia.audit_log WHERE ip = '192.0.2.200'`);
    expect(rows).toHaveLength(1);
  });
});

describe('validate_user_session in SQL', () => {
  let vigia: AccessApp;
  let role: string;
  let client: pg.Client;
  beforeAll(async () => {
    vigia = await accessApp();
    role = `reporting_${process.pid}_${Math.floor(Math.random() * 1e9)}`;
    const database = vigia.app.get(Database);
    await database.execute(`CREATE ROLE ${role} LOGIN PASSWORD 'reporting'`);
    const url = new URL(vigia.databaseUrl);
    url.username = role;
    url.password = 'reporting';
    client = new pg.Client({ connectionString: url.href });
    await client.connect();
  });
  afterAll(async () => {
    await client.end();
    await vigia.app.get(Database).execute(`DROP OWNED BY ${role}`);
    await vigia.app.get(Database).execute(`DROP ROLE ${role}`);
    await vigia.close();
  });

  const valid = async (sid: unknown) =>
    (await client.query<{ valid: boolean }>('SELECT validate_user_session($1) AS valid', [sid])).rows[0]!
      .valid;

  it('is not for everybody', async () => {
    await vigia.app.get(Database).execute(`GRANT USAGE ON SCHEMA vigia TO ${role}`);
    const absent = '01890000-0000-7000-8000-000000000000';
    await expect(valid(absent)).rejects.toThrow('permission denied for function');
    const named = client.query('SELECT vigia.validate_user_session($1)', [absent]);
    await expect(named).rejects.toThrow('permission denied for function');
  });

  it('says whether a session is open and its user active, to a role that sees no table', async () => {
    const database = vigia.app.get(Database);
    await database.execute(
      `GRANT EXECUTE ON FUNCTION vigia.validate_user_session(uuid), public.validate_user_session(uuid) TO ${role}`,
    );
    await expect(client.query('SELECT * FROM vigia.sessions')).rejects.toThrow('permission denied');
    const admin = await vigia.adminToken();
    const ann = await vigia.signIn('user');
    const bob = await vigia.signIn('user');
    const [annSid, bobSid] = [decodeJwt(ann.token).sid, decodeJwt(bob.token).sid];
    expect([await valid(annSid), await valid(bobSid)]).toEqual([true, true]);
    await vigia.call('POST', '/auth/logout', { as: ann.token });
    await vigia.call('PATCH', `/users/${bob.id}`, { as: admin, body: { active: false } });
    expect([await valid(annSid), await valid(bobSid)]).toEqual([false, false]);
    expect([await valid('01890000-0000-7000-8000-000000000000'), await valid(null)]).toEqual([false, false]);
    await client.query('SELECT vigia.validate_user_session($1)', [annSid]);
    const { body } = await vigia.call('GET', `/audit?kind=function&actor=database:${role}`, { as: admin });
    expect(body.items).toHaveLength(7);
    expect(body.items.at(-1)).toMatchObject({
      action: 'validate_user_session',
      target: annSid,
      result: 'ok',
      kind: 'function',
    });
    expect(body.items[0]).toMatchObject({ target: annSid, result: 'refused' });
    // UUIDv7, and in the order of the calls though they may share a millisecond.
    const ids: string[] = body.items.map(({ id }: { id: string }) => id);
    for (const id of ids)
      expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    expect(ids).toEqual([...ids].sort().reverse());
    const at = Number.parseInt(ids[0]!.replace('-', '').slice(0, 12), 16);
    expect(at).toBe(Date.parse(body.items[0].at));
  });

  it('cannot be turned against its owner by objects that a caller puts in the way', async () => {
    const database = vigia.app.get(Database);
    await database.execute(`CREATE SCHEMA ${role} AUTHORIZATION ${role}`);
    await client.query(
      `CREATE FUNCTION ${role}.clock_timestamp() RETURNS timestamptz LANGUAGE sql AS $$ SELECT '1970-01-01'::timestamptz $$`,
    );
    await client.query(`SET search_path = ${role}, pg_catalog`);
    const ann = await vigia.signIn('user');
    const sid = decodeJwt(ann.token).sid;
    await database.execute('UPDATE vigia.sessions SET expires_at = clock_timestamp() WHERE id = $1', [sid]);
    const { rows } = await client.query<{ valid: boolean }>(
      'SELECT vigia.validate_user_session($1) AS valid',
      [sid],
    );
    expect(rows[0]!.valid).toBe(false);
  });
});
