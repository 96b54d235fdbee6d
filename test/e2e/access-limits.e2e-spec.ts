import { Database } from '../../src/core/database/database.js';
import { accessApp, type AccessApp, type Reply } from '../support/access-app.js';

const statuses = (replies: Reply[]) => replies.map(({ status }) => status);
const count = (replies: Reply[], status: number) =>
  statuses(replies).filter((each) => each === status).length;

describe('login limits', () => {
  let vigia: AccessApp;
  let ann: Awaited<ReturnType<AccessApp['signIn']>>;
  beforeAll(async () => {
    vigia = await accessApp();
    ann = await vigia.signIn('user');
  });
  afterAll(() => vigia.close());
  let addresses = 0;
  /** A client that has not been here before. */
  const newClient = () => `203.0.113.${(addresses += 1)}`;
  const fail = (from: string, email = ann.email) => vigia.login(email, 'a wrong password', from);

  it('lets a client in after nine failures, and not after ten, whatever the password', async () => {
    const from = newClient();
    for (let i = 0; i < 9; i++) expect((await fail(from)).status).toBe(401);
    expect((await vigia.login(ann.email, ann.password, from)).status).toBe(200);
    expect((await fail(from)).status).toBe(401);
    const { status, body, headers } = await vigia.login(ann.email, ann.password, from);
    expect([status, body.code]).toEqual([429, 'RATE_LIMITED']);
    expect(body.retryAfterMs).toBeGreaterThan(50_000);
    expect(body.retryAfterMs).toBeLessThanOrEqual(60_000);
    expect(Number(headers['retry-after'])).toBe(Math.ceil(body.retryAfterMs / 1000));
    expect(Date.parse(body.resetAt)).toBeGreaterThan(Date.now());
  });

  it('looks at exactly ten of fifty wrong passwords that come together', async () => {
    const from = newClient();
    const replies = await Promise.all(Array.from({ length: 50 }, () => fail(from)));
    expect([count(replies, 401), count(replies, 429)]).toEqual([10, 40]);
  });

  it('holds over two instances that are asked together', async () => {
    const second = await accessApp({}, vigia.databaseUrl);
    const from = newClient();
    const replies = await Promise.all(
      Array.from({ length: 50 }, (_, i) =>
        (i % 2 ? vigia : second).login(ann.email, 'a wrong password', from),
      ),
    );
    await second.close();
    expect([count(replies, 401), count(replies, 429)]).toEqual([10, 40]);
  });

  it('lets sixty people of one office sign in at the same moment', async () => {
    const from = newClient();
    const replies = await Promise.all(
      Array.from({ length: 60 }, () => vigia.login(ann.email, ann.password, from)),
    );
    expect(new Set(statuses(replies))).toEqual(new Set([200]));
  });

  it('does not let a good password wipe out the failures before it', async () => {
    const from = newClient();
    for (let i = 0; i < 10; i++) {
      await fail(from);
      if (i < 9) expect((await vigia.login(ann.email, ann.password, from)).status).toBe(200);
    }
    expect((await vigia.login(ann.email, ann.password, from)).status).toBe(429);
  });

  it('leaves other clients alone', async () => {
    const from = newClient();
    await Promise.all(Array.from({ length: 12 }, () => fail(from)));
    expect((await vigia.login(ann.email, ann.password, newClient())).status).toBe(200);
  });

  it('is not fooled by forwarded headers', async () => {
    const from = newClient();
    const replies: Reply[] = [];
    for (let i = 0; i < 12; i++) {
      const headers = {
        'x-forwarded-for': `192.0.2.${i}`,
        forwarded: `for=192.0.2.${i}`,
        'x-real-ip': `192.0.2.${i}`,
      };
      replies.push(
        await vigia.call('POST', '/auth/login', {
          body: { email: ann.email, password: 'wrong' },
          headers,
          from,
        }),
      );
    }
    expect([count(replies, 401), count(replies, 429)]).toEqual([10, 2]);
  });

  it('takes the addresses of one /64 for one client', async () => {
    const replies = await Promise.all(
      Array.from({ length: 15 }, (_, i) => fail(`2001:db8:7:7::${(i + 1).toString(16)}`)),
    );
    expect([count(replies, 401), count(replies, 429)]).toEqual([10, 5]);
    expect((await vigia.login(ann.email, ann.password, '2001:db8:7:8::1')).status).toBe(200);
  });

  it('refuses an account after a hundred failures over all clients, and not another account', async () => {
    const bob = await vigia.signIn('user');
    const replies: Reply[] = [];
    for (let client = 0; client < 11; client++) {
      const from = newClient();
      replies.push(...(await Promise.all(Array.from({ length: 10 }, () => fail(from, bob.email)))));
    }
    expect([count(replies, 401), count(replies, 429)]).toEqual([100, 10]);
    expect((await vigia.login(bob.email, bob.password, newClient())).status).toBe(429);
    expect((await vigia.login(ann.email, ann.password, newClient())).status).toBe(200);
  });

  it('answers an unknown account as it answers a wrong password, limits included', async () => {
    const [from, other] = [newClient(), newClient()];
    const known = await fail(from);
    const unknown = await fail(other, 'nobody@example.com');
    const { requestId: _a, ...knownBody } = known.body;
    const { requestId: _b, ...unknownBody } = unknown.body;
    expect([unknown.status, unknownBody]).toEqual([known.status, knownBody]);
    const replies = await Promise.all(Array.from({ length: 12 }, () => fail(other, 'nobody@example.com')));
    expect([count(replies, 401), count(replies, 429)]).toEqual([9, 3]);
  });

  it('makes no rows for the accounts that a refused client invents', async () => {
    const from = newClient();
    await Promise.all(Array.from({ length: 10 }, () => fail(from)));
    const rows = () => vigia.app.get(Database).query('SELECT count(*) FROM vigia.login_attempts');
    const before = await rows();
    for (let i = 0; i < 5; i++) expect((await fail(from, `invented-${i}@example.com`)).status).toBe(429);
    expect(await rows()).toEqual(before);
  });

  it('stores no e-mail address that somebody tried', async () => {
    const rows = await vigia.app.get(Database).query('SELECT key FROM vigia.login_attempts');
    expect(JSON.stringify(rows)).not.toContain('@');
  });

  it('counts a wrong current password like a failed sign-in, and then refuses profile changes too', async () => {
    const cat = await vigia.signIn('user');
    const from = newClient();
    const change = (currentPassword: string) =>
      vigia.call('POST', '/auth/password', {
        as: cat.token,
        from,
        body: { currentPassword, newPassword: 'another twelve' },
      });
    const replies = await Promise.all(Array.from({ length: 12 }, () => change('wrong')));
    expect([count(replies, 401), count(replies, 429)]).toEqual([10, 2]);
    expect((await change(cat.password)).status).toBe(429);
    expect(
      (await vigia.call('PATCH', '/auth/me', { as: cat.token, from, body: { name: 'Cat' } })).status,
    ).toBe(429);
    expect((await vigia.login(cat.email, cat.password, from)).status).toBe(429);
    expect(
      (await vigia.call('PATCH', '/auth/me', { as: cat.token, from: newClient(), body: { name: 'Cat' } }))
        .status,
    ).toBe(200);
  });

  it('does not count what is no attempt at all', async () => {
    const from = newClient();
    for (let i = 0; i < 12; i++) {
      const reply = await vigia.call('POST', '/auth/login', {
        body: { email: 'no address', password: 'x' },
        from,
      });
      expect(reply.status).toBe(400);
    }
    expect((await vigia.login(ann.email, ann.password, from)).status).toBe(200);
  });
});
