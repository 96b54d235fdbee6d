import { accessApp, type AccessApp, type Reply } from '../support/access-app.js';
import { UsersService } from '../../src/modules/access/index.js';
import { Authenticator } from '../../src/core/access/authenticator.port.js';
import { DependencyUnavailableError } from '../../src/core/errors/errors.js';
import { eventually } from '../support/eventually.js';
import { TcpProxy } from '../support/tcp-proxy.js';
import { createDatabase } from '../support/test-database.js';

describe('revocation on another instance', () => {
  let one: AccessApp;
  let two: AccessApp;
  let admin: string;
  beforeAll(async () => {
    one = await accessApp();
    two = await accessApp({}, one.databaseUrl);
    admin = await one.adminToken();
  });
  afterAll(async () => {
    await two.close();
    await one.close();
  });

  const onTwo = async (as: string) => (await two.call('GET', '/auth/me', { as })).status;
  const goneOnTwo = async (token: string) => {
    await staysOnTwo(401, () => onTwo(token));
  };
  /** Answered within a second, and from then on: what is cached must be forgotten, not only bypassed while the bus polls. */
  const staysOnTwo = async (status: number, ask: () => Promise<number>) => {
    const startedMs = performance.now();
    await eventually(async () => (await ask()) === status, 1_000);
    while (performance.now() - startedMs < 1_300) expect(await ask()).toBe(status);
  };
  type Ann = Awaited<ReturnType<AccessApp['signIn']>>;

  it('holds within a second for logout, logout-all, deactivation, deletion and a changed password', async () => {
    const changes: ((ann: Ann) => Promise<unknown>)[] = [
      ({ token }) => one.call('POST', '/auth/logout', { as: token }),
      ({ token }) => one.call('POST', '/auth/logout-all', { as: token }),
      ({ id }) => one.call('PATCH', `/users/${id}`, { as: admin, body: { active: false } }),
      ({ id }) => one.call('DELETE', `/users/${id}`, { as: admin }),
      ({ id }) => one.call('PATCH', `/users/${id}`, { as: admin, body: { password: 'twelve chars' } }),
    ];
    for (const change of changes) {
      const ann = await one.signIn('user');
      expect(await onTwo(ann.token)).toBe(200);
      await change(ann);
      await goneOnTwo(ann.token);
    }
  });

  it('holds for an id in upper case as well, in every change', async () => {
    const changes: ((id: string) => Promise<Reply>)[] = [
      (id) => one.call('PATCH', `/users/${id}`, { as: admin, body: { active: false } }),
      (id) => one.call('DELETE', `/users/${id}`, { as: admin }),
      (id) => one.call('PATCH', `/users/${id}`, { as: admin, body: { password: 'twelve chars' } }),
    ];
    for (const change of changes) {
      const ann = await one.signIn('user');
      expect(await onTwo(ann.token)).toBe(200);
      expect((await change(ann.id.toUpperCase())).status).toBeLessThan(300);
      await goneOnTwo(ann.token);
      const { body } = await one.call('GET', `/audit?target=${ann.id}`, { as: admin });
      expect(body.items.map(({ action }: { action: string }) => action)).toContain('user.create');
      expect(body.items[0].action).toMatch(/^user\.(update|delete)$/);
    }
    const root = await one.signIn('admin');
    const listOnTwo = async () => (await two.call('GET', '/users', { as: root.token })).status;
    expect(await listOnTwo()).toBe(200);
    await one.call('PATCH', `/users/${root.id.toUpperCase()}`, { as: admin, body: { role: 'user' } });
    await staysOnTwo(403, listOnTwo);
  });

  it('holds for callers of the service who spell an id in upper case', async () => {
    const ann = await one.signIn('user');
    expect(await onTwo(ann.token)).toBe(200);
    await one.app.get(UsersService).update(ann.id.toUpperCase(), { active: false });
    await goneOnTwo(ann.token);
    const bob = await one.signIn('user');
    expect(await onTwo(bob.token)).toBe(200);
    await one.app.get(UsersService).remove(bob.id.toUpperCase());
    await goneOnTwo(bob.token);
  });

  it('holds within a second for a role and for a key', async () => {
    const ann = await one.signIn('admin');
    expect((await two.call('GET', '/users', { as: ann.token })).status).toBe(200);
    await one.call('PATCH', `/users/${ann.id}`, { as: admin, body: { role: 'user' } });
    await staysOnTwo(403, async () => (await two.call('GET', '/users', { as: ann.token })).status);
    const { id, key } = (
      await one.call('POST', '/api-keys', { as: admin, body: { name: 'k', role: 'admin', tier: 'free' } })
    ).body;
    expect((await two.call('GET', '/users', { key })).status).toBe(200);
    await one.call('DELETE', `/api-keys/${id}`, { as: admin });
    await staysOnTwo(401, async () => (await two.call('GET', '/users', { key })).status);
  });
});

describe('revocation while PostgreSQL cannot be reached', () => {
  let database: Awaited<ReturnType<typeof createDatabase>>;
  let proxy: TcpProxy;
  let vigia: AccessApp;
  let outside: AccessApp;
  beforeAll(async () => {
    database = await createDatabase();
    const direct = new URL(database.url);
    proxy = await TcpProxy.start({ host: direct.hostname, port: Number(direct.port) });
    const proxied = new URL(database.url);
    proxied.host = `127.0.0.1:${proxy.port}`;
    vigia = await accessApp({}, proxied.href);
    outside = await accessApp({}, database.url);
  });
  afterAll(async () => {
    await proxy.pass();
    await vigia.close();
    await outside.close();
    await proxy.stop();
    await database.drop();
  });

  it.each(['refuse', 'blackHole'] as const)(
    'answers 503 within 5 s once its knowledge is older than a second, never 401 and never 200 (%s)',
    async (cut) => {
      const ann = await outside.signIn('user');
      const me = () => vigia.call('GET', '/auth/me', { as: ann.token });
      const authenticate = () =>
        vigia.app.get(Authenticator, { strict: false }).authenticate({ bearer: ann.token });
      const admin = await outside.adminToken();
      const list = () => vigia.call('GET', '/users', { as: admin });
      expect([(await me()).status, (await list()).status]).toEqual([200, 200]);
      await proxy[cut]();
      const cutAtMs = performance.now();
      // While the caller is still known: what fails is the work, and then nobody waits for the audit log as well.
      const slow = [list(), vigia.login(ann.email, ann.password, '192.0.2.20')].map(async (asked) => {
        const { status, body } = await asked;
        return { status, code: body.code, isSoon: performance.now() - cutAtMs < 5_000 };
      });
      for (const answer of await Promise.all(slow))
        expect(answer).toEqual({ status: 503, code: 'DEPENDENCY_UNAVAILABLE', isSoon: true });
      await outside.call('POST', '/auth/logout', { as: ann.token });
      // Without a handler that needs PostgreSQL too: what is cached must not be believed for long.
      await eventually(() => authenticate().then(() => false, isUnavailable), 6_000);
      await expect(authenticate()).rejects.toThrow(DependencyUnavailableError);
      for (let i = 0; i < 5; i++) {
        const askedAtMs = performance.now();
        const { status, body } = await me();
        expect([status, body.code]).toEqual([503, 'DEPENDENCY_UNAVAILABLE']);
        expect(performance.now() - askedAtMs).toBeLessThan(5_000);
        if (performance.now() - cutAtMs > 14_000) break;
      }
      await proxy.pass();
      await eventually(async () => (await me()).status === 401, 10_000);
    },
  );
});

function isUnavailable(error: unknown): boolean {
  if (error instanceof DependencyUnavailableError) return true;
  throw error;
}
