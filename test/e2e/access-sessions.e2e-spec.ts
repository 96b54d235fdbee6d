import { randomUUID } from 'node:crypto';
import { decodeJwt, decodeProtectedHeader } from 'jose';
import { Database } from '../../src/core/database/database.js';
import { EventBus } from '../../src/core/events/event-bus.js';
import { RefreshTokenReused, SessionsService, UsersService } from '../../src/modules/access/index.js';
import { MAX_SESSIONS_PER_USER } from '../../src/modules/access/stores/sessions.store.js';
import { RefreshTokens } from '../../src/modules/access/tokens/refresh-tokens.js';
import { accessApp, SECRET, type AccessApp, type Reply } from '../support/access-app.js';
import { eventually } from '../support/eventually.js';

describe('sessions', () => {
  let vigia: AccessApp;
  let admin: string;
  beforeAll(async () => {
    vigia = await accessApp();
    admin = await vigia.adminToken();
  });
  afterAll(() => vigia.close());

  const me = async (token: string) => (await vigia.call('GET', '/auth/me', { as: token })).status;
  /** Within a second, and then for good: what is cached must be forgotten, not only bypassed for a moment. */
  const stays = async (status: number, ask: () => Promise<number>) => {
    await eventually(async () => (await ask()) === status, 1_000);
    for (const untilMs = performance.now() + 1_300; performance.now() < untilMs;)
      expect(await ask()).toBe(status);
  };
  const refresh = (refreshToken: string) => vigia.call('POST', '/auth/refresh', { body: { refreshToken } });
  const sql = (text: string, values: unknown[] = []) => vigia.app.get(Database).query(text, values);

  it('signs access tokens with the promised claims, for 15 minutes', async () => {
    const ann = await vigia.signIn('viewer');
    expect(decodeProtectedHeader(ann.token)).toEqual({ alg: 'HS256', typ: 'JWT' });
    const claims = decodeJwt(ann.token);
    expect(claims).toMatchObject({ iss: 'vigia', sub: ann.id, role: 'viewer', tier: 'free' });
    expect(claims.exp! - claims.iat!).toBe(900);
    expect([typeof claims.sid, typeof claims.jti]).toEqual(['string', 'string']);
  });

  it('swaps a refresh token for a new pair of the same session', async () => {
    const ann = await vigia.signIn('user');
    const { status, body } = await refresh(ann.refreshToken);
    expect(status).toBe(200);
    expect(body).toMatchObject({ expiresInMs: 900_000, user: { id: ann.id } });
    expect(body.refreshToken).not.toBe(ann.refreshToken);
    expect(decodeJwt(body.accessToken).sid).toBe(decodeJwt(ann.token).sid);
    expect((await refresh(body.refreshToken)).status).toBe(200);
  });

  it('ends the whole family when a used refresh token comes back, and says so in an event and the audit log', async () => {
    const heard: RefreshTokenReused[] = [];
    vigia.app.get(EventBus).on(RefreshTokenReused, (event) => void heard.push(event));
    const ann = await vigia.signIn('user');
    const second = (await refresh(ann.refreshToken)).body;
    const third = (await refresh(second.refreshToken)).body;
    expect((await refresh(ann.refreshToken)).status).toBe(401);
    expect((await refresh(third.refreshToken)).status).toBe(401);
    for (const token of [ann.token, second.accessToken, third.accessToken]) {
      await eventually(async () => (await me(token)) === 401, 1_000);
    }
    expect((await refresh(ann.refreshToken)).status).toBe(401);
    const sid = decodeJwt(ann.token).sid;
    expect(heard).toEqual([expect.objectContaining({ sessionId: sid, userId: ann.id, ip: '198.51.100.1' })]);
    const { body } = await vigia.call('GET', `/audit?target=${String(sid)}&kind=security`, { as: admin });
    expect(body.items).toEqual([
      expect.objectContaining({ action: 'auth.refresh.reused', actor: `user:${ann.id}`, result: 'refused' }),
    ]);
  });

  it('lets exactly one of parallel uses of a refresh token win, and ends the session for all of them', async () => {
    const ann = await vigia.signIn('user');
    const answers = await Promise.all(Array.from({ length: 8 }, () => refresh(ann.refreshToken)));
    const won = answers.filter(({ status }) => status === 200);
    expect(won).toHaveLength(1);
    expect(answers.filter(({ status }) => status === 401)).toHaveLength(7);
    expect((await refresh(won[0]!.body.refreshToken)).status).toBe(401);
    await eventually(async () => (await me(won[0]!.body.accessToken)) === 401, 1_000);
  });

  it.each(['', 'x', 'A'.repeat(43), 'A'.repeat(600), '../../etc/passwd'])(
    'refuses the refresh token %j',
    async (text) => {
      expect([400, 401]).toContain((await refresh(text)).status);
    },
  );

  it('refuses a refresh without any token', async () => {
    expect((await vigia.call('POST', '/auth/refresh')).status).toBe(401);
    expect((await vigia.call('POST', '/auth/refresh', { body: {} })).status).toBe(401);
    expect((await vigia.call('POST', '/auth/refresh', { body: { refreshToken: 1 } })).status).toBe(400);
    expect((await vigia.call('POST', '/auth/refresh', { body: { token: 'x' } })).status).toBe(400);
  });

  it('ends this session at logout and the others at logout-all', async () => {
    const ann = await vigia.signIn('user');
    const other = (await vigia.login(ann.email, ann.password)).body;
    const third = (await vigia.login(ann.email, ann.password)).body;
    expect((await vigia.call('POST', '/auth/logout', { as: ann.token })).status).toBe(204);
    await stays(401, () => me(ann.token));
    expect((await refresh(ann.refreshToken)).status).toBe(401);
    expect(await me(other.accessToken)).toBe(200);
    expect((await vigia.call('POST', '/auth/logout-all', { as: other.accessToken })).status).toBe(204);
    for (const { accessToken, refreshToken } of [other, third]) {
      await stays(401, () => me(accessToken));
      expect((await refresh(refreshToken)).status).toBe(401);
    }
  });

  it('ends the other sessions when the password changes, and takes the new password only', async () => {
    const ann = await vigia.signIn('user');
    const other = (await vigia.login(ann.email, ann.password)).body;
    const body = { currentPassword: ann.password, newPassword: 'another twelve' };
    const wrong = await vigia.call('POST', '/auth/password', {
      as: ann.token,
      body: { ...body, currentPassword: 'no' },
    });
    expect([wrong.status, wrong.body.code]).toEqual([401, 'UNAUTHENTICATED']);
    expect(
      (await vigia.call('POST', '/auth/password', { as: ann.token, body: { ...body, newPassword: 'short' } }))
        .status,
    ).toBe(400);
    expect((await vigia.call('POST', '/auth/password', { as: ann.token, body })).status).toBe(200);
    await eventually(async () => (await me(other.accessToken)) === 401, 1_000);
    expect(await me(ann.token)).toBe(200);
    expect((await refresh(other.refreshToken)).status).toBe(401);
    expect((await vigia.login(ann.email, ann.password)).status).toBe(401);
    expect((await vigia.login(ann.email, 'another twelve')).status).toBe(200);
  });

  it('opens no session for a password that was replaced after it was proven, or a user closed since', async () => {
    const ann = await vigia.signIn('user');
    const user = await vigia.app.get(UsersService).get(ann.id);
    const hash = async () =>
      (await sql('SELECT password_hash FROM vigia.users WHERE id = $1', [ann.id]))[0]!
        .password_hash as string;
    const proven = await hash();
    const sessions = vigia.app.get(SessionsService);
    expect(await sessions.open(user, proven)).not.toBeNull();
    await vigia.call('PATCH', `/users/${ann.id}`, { as: admin, body: { password: 'another twelve' } });
    expect(await sessions.open(user, proven)).toBeNull();
    await vigia.call('PATCH', `/users/${ann.id}`, { as: admin, body: { active: false } });
    expect(await sessions.open(user, await hash())).toBeNull();
  });

  it('ends all sessions when an administrator sets a password, deactivates or deletes', async () => {
    const changes: ((id: string) => Promise<Reply>)[] = [
      (id) => vigia.call('PATCH', `/users/${id}`, { as: admin, body: { password: 'set by an admin' } }),
      (id) => vigia.call('PATCH', `/users/${id}`, { as: admin, body: { active: false } }),
      (id) => vigia.call('DELETE', `/users/${id}`, { as: admin }),
    ];
    for (const change of changes) {
      const ann = await vigia.signIn('user');
      expect(await me(ann.token)).toBe(200);
      expect((await change(ann.id)).status).toBeLessThan(300);
      await eventually(async () => (await me(ann.token)) === 401, 1_000);
      expect((await refresh(ann.refreshToken)).status).toBe(401);
      expect((await vigia.login(ann.email, ann.password)).status).toBe(401);
    }
  });

  it('does not reopen old sessions when a deactivated user is active again', async () => {
    const ann = await vigia.signIn('user');
    await vigia.call('PATCH', `/users/${ann.id}`, { as: admin, body: { active: false } });
    await vigia.call('PATCH', `/users/${ann.id}`, { as: admin, body: { active: true } });
    await eventually(async () => (await me(ann.token)) === 401, 1_000);
    expect((await refresh(ann.refreshToken)).status).toBe(401);
    expect((await vigia.login(ann.email, ann.password)).status).toBe(200);
  });

  it('goes by the role of now, not by the one in the token', async () => {
    const ann = await vigia.signIn('admin');
    expect((await vigia.call('GET', '/users', { as: ann.token })).status).toBe(200);
    await vigia.call('PATCH', `/users/${ann.id}`, { as: admin, body: { role: 'viewer' } });
    await stays(403, async () => (await vigia.call('GET', '/users', { as: ann.token })).status);
    expect((await vigia.call('GET', '/auth/me', { as: ann.token })).body.role).toBe('viewer');
    expect((await refresh(ann.refreshToken)).body.user.role).toBe('viewer');
  });

  it('ends a session at its absolute age and a refresh at its idle limit', async () => {
    const ann = await vigia.signIn('user');
    const sid = decodeJwt(ann.token).sid;
    await sql(`UPDATE vigia.sessions SET idle_expires_at = clock_timestamp() WHERE id = $1`, [sid]);
    expect((await refresh(ann.refreshToken)).status).toBe(401);
    const bob = await vigia.signIn('user');
    await sql(`UPDATE vigia.sessions SET expires_at = clock_timestamp() WHERE id = $1`, [
      decodeJwt(bob.token).sid,
    ]);
    expect((await refresh(bob.refreshToken)).status).toBe(401);
    expect(await me(bob.token)).toBe(401); // not cached yet, so at once
  });

  it('ends the oldest session of a user who opens too many', async () => {
    const ann = await vigia.signIn('user');
    await sql(
      `INSERT INTO vigia.sessions (id, user_id, expires_at, idle_expires_at)
       SELECT ('0190' || lpad(to_hex(i), 4, '0') || '-0000-7000-8000-000000000000')::uuid, $1, clock_timestamp() + interval '1 day', clock_timestamp() + interval '1 day'
       FROM generate_series(1, $2::int) i`,
      [ann.id, MAX_SESSIONS_PER_USER - 1],
    );
    await vigia.login(ann.email, ann.password);
    const open = await sql(
      'SELECT min(id::text) AS oldest, count(*)::int AS count FROM vigia.sessions WHERE user_id = $1 AND ended_at IS NULL',
      [ann.id],
    );
    expect(open).toEqual([{ oldest: '01900002-0000-7000-8000-000000000000', count: MAX_SESSIONS_PER_USER }]);
    expect(await me(ann.token)).toBe(200);
  });

  it('knows a used refresh token after however many rotations, and keeps no row per rotation', async () => {
    const ann = await vigia.signIn('user');
    const sid = decodeJwt(ann.token).sid;
    let last = (await refresh(ann.refreshToken)).body;
    // As after a thousand and more rotations, which nobody needs to wait for.
    await sql('UPDATE vigia.sessions SET refresh_generation = 2000000 WHERE id = $1', [sid]);
    const [major] = last.refreshToken.split('.');
    expect(major).toBe(sid);
    expect((await refresh(ann.refreshToken)).status).toBe(401);
    const ended = await sql('SELECT end_reason FROM vigia.sessions WHERE id = $1', [sid]);
    expect(ended).toEqual([{ end_reason: 'tokenReused' }]);
    await eventually(async () => (await me(last.accessToken)) === 401, 1_000);

    const bob = await vigia.signIn('user');
    const tables = () =>
      sql(`SELECT count(*)::int AS count FROM vigia.sessions WHERE user_id = $1`, [bob.id]);
    last = { refreshToken: bob.refreshToken };
    for (let i = 0; i < 30; i++) last = (await refresh(last.refreshToken)).body;
    expect(await tables()).toEqual([{ count: 1 }]);
    expect((await refresh(bob.refreshToken)).status).toBe(401);
    expect((await refresh(last.refreshToken)).status).toBe(401);
  });

  it('refuses a refresh token of another session, generation or secret, without ending anything', async () => {
    const ann = await vigia.signIn('user');
    const bob = await vigia.signIn('user');
    const [sid, generation, mac] = ann.refreshToken.split('.') as [string, string, string];
    const [bobSid] = bob.refreshToken.split('.') as [string];
    const foreign = new RefreshTokens({ jwtSecret: Buffer.alloc(32, 1) });
    const forged = [
      `${bobSid}.${generation}.${mac}`,
      `${sid}.2.${mac}`,
      `${sid}.0.${mac}`,
      `${sid.toUpperCase()}.${generation}.${mac}`,
      `${sid}.${generation}.${'A'.repeat(43)}`,
      foreign.sign({ sessionId: sid, generation: 1 }),
      new RefreshTokens({ jwtSecret: SECRET }).sign({ sessionId: sid, generation: 2 }), // not issued yet
      new RefreshTokens({ jwtSecret: SECRET }).sign({ sessionId: randomUUID(), generation: 1 }),
    ];
    for (const token of forged) expect([token, (await refresh(token)).status]).toEqual([token, 401]);
    expect((await refresh(ann.refreshToken)).status).toBe(200);
    expect((await refresh(bob.refreshToken)).status).toBe(200);
  });

  it('stores no token that could be used', async () => {
    const ann = await vigia.signIn('user');
    const { rows } = {
      rows: await sql(`SELECT s::text FROM vigia.sessions s`),
    };
    expect(JSON.stringify(rows)).not.toContain(ann.refreshToken);
    expect(JSON.stringify(rows)).not.toContain(Buffer.from(ann.refreshToken).toString('hex'));
  });

  it('notes when a user was last here, without a write per request', async () => {
    const ann = await vigia.signIn('user');
    await me(ann.token);
    const { LastSeen } = await import('../../src/modules/access/authentication/last-seen.js');
    await vigia.app.get(LastSeen).flush();
    const { body } = await vigia.call('GET', `/users/${ann.id}`, { as: admin });
    expect(Date.parse(body.lastSeenAt)).toBeGreaterThan(Date.now() - 60_000);
  });
});

describe('cookie sessions', () => {
  let vigia: AccessApp;
  let password: string;
  let email: string;
  beforeAll(async () => {
    vigia = await accessApp({ allowedOrigins: ['https://ops.example.com'] });
    ({ email, password } = await vigia.signIn('user'));
  });
  afterAll(() => vigia.close());

  const login = (headers: Record<string, string> = {}) =>
    vigia.call('POST', '/auth/login', { body: { email, password, session: 'cookie' }, headers });
  const cookieOf = (reply: Reply) => String(reply.headers['set-cookie']).split(';')[0]!;
  const refresh = (cookie: string, headers: Record<string, string> = {}) =>
    vigia.call('POST', '/auth/refresh', { headers: { cookie, ...headers } });

  it('puts the refresh token in an httpOnly, strict cookie for the auth routes and not in the body', async () => {
    const reply = await login();
    expect(reply.status).toBe(200);
    expect(Object.keys(reply.body).sort()).toEqual(['accessToken', 'expiresInMs', 'user']);
    expect(reply.headers['set-cookie']).toMatch(
      /^vigia_refresh=[0-9a-f-]{36}\.1\.[A-Za-z0-9_-]{43}; Path=\/api\/v1\/auth; Max-Age=604800; HttpOnly; SameSite=Strict$/,
    );
  });

  it('rotates the cookie, also among other cookies, and never shows the token to scripts', async () => {
    const first = cookieOf(await login());
    const reply = await refresh(`theme=dark; ${first}; x=y`);
    expect(reply.status).toBe(200);
    expect(reply.body.refreshToken).toBeUndefined();
    expect(cookieOf(reply)).toMatch(/^vigia_refresh=[0-9a-f-]{36}\.2\.[A-Za-z0-9_-]{43}$/);
    expect(cookieOf(reply)).not.toBe(first);
    const reused = await refresh(first);
    expect(reused.status).toBe(401);
    expect(reused.headers['set-cookie']).toMatch(/^vigia_refresh=; .*Max-Age=0/);
    expect((await refresh(cookieOf(reply))).status).toBe(401);
  });

  it('takes the cookie from its own host and allowed origins, and from no other', async () => {
    let cookie = cookieOf(await login());
    for (const origin of ['http://localhost:80', 'http://localhost', 'https://ops.example.com']) {
      const reply = await refresh(cookie, { origin });
      expect([origin, reply.status]).toEqual([origin, 200]);
      cookie = cookieOf(reply);
    }
    for (const origin of [
      'https://evil.example.com',
      'null',
      'http://localhost:81',
      'https://ops.example.com.evil.org',
      'x',
    ]) {
      expect([origin, (await refresh(cookie, { origin })).status]).toEqual([origin, 403]);
      expect((await login({ origin })).status).toBe(403);
    }
    expect((await refresh(cookie)).status).toBe(200); // the refused ones used nothing up
  });

  it('takes the cookie away at logout', async () => {
    const reply = await login();
    const out = await vigia.call('POST', '/auth/logout', { as: reply.body.accessToken });
    expect(out.headers['set-cookie']).toMatch(/^vigia_refresh=; .*Max-Age=0/);
    expect((await refresh(cookieOf(reply))).status).toBe(401);
  });

  it('is Secure where the app says so', async () => {
    const secure = await accessApp({ secureCookies: true }, vigia.databaseUrl);
    const reply = await secure.call('POST', '/auth/login', { body: { email, password, session: 'cookie' } });
    expect(reply.headers['set-cookie']).toMatch(/; Secure$/);
    await secure.close();
  });

  it('refuses another word for session', async () => {
    expect(
      (await vigia.call('POST', '/auth/login', { body: { email, password, session: 'jwt' } })).status,
    ).toBe(400);
  });
});
