import { accessApp, type AccessApp } from '../support/access-app.js';
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
    const startedMs = performance.now();
    await eventually(async () => (await onTwo(token)) === 401, 1_000);
    const tookMs = performance.now() - startedMs;
    // And stays away: what is cached must be forgotten, not only bypassed while the bus polls.
    while (performance.now() - startedMs < 1_300) expect(await onTwo(token)).toBe(401);
    return tookMs;
  };

  it('holds within a second for logout, logout-all, deactivation, deletion and a changed password', async () => {
    const changes: ((ann: Awaited<ReturnType<AccessApp['signIn']>>) => Promise<unknown>)[] = [
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
      expect(await goneOnTwo(ann.token)).toBeLessThan(1_000);
    }
  });

  it('holds within a second for a role and for a key', async () => {
    const ann = await one.signIn('admin');
    expect((await two.call('GET', '/users', { as: ann.token })).status).toBe(200);
    await one.call('PATCH', `/users/${ann.id}`, { as: admin, body: { role: 'user' } });
    await eventually(async () => (await two.call('GET', '/users', { as: ann.token })).status === 403, 1_000);
    const { id, key } = (
      await one.call('POST', '/api-keys', { as: admin, body: { name: 'k', role: 'admin', tier: 'free' } })
    ).body;
    expect((await two.call('GET', '/users', { key })).status).toBe(200);
    await one.call('DELETE', `/api-keys/${id}`, { as: admin });
    await eventually(async () => (await two.call('GET', '/users', { key })).status === 401, 1_000);
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
      expect((await me()).status).toBe(200);
      await proxy[cut]();
      const cutAtMs = performance.now();
      await outside.call('POST', '/auth/logout', { as: ann.token });
      // Without a handler that needs PostgreSQL too: what is cached must not be believed for long.
      await eventually(() => authenticate().then(() => false, isUnavailable), 6_000);
      await expect(authenticate()).rejects.toThrow(DependencyUnavailableError);
      for (let i = 0; i < 5; i++) {
        const askedAtMs = performance.now();
        const { status, body } = await me();
        expect([status, body.code]).toEqual([503, 'DEPENDENCY_UNAVAILABLE']);
        expect(performance.now() - askedAtMs).toBeLessThan(5_000);
        if (performance.now() - cutAtMs > 10_000) break;
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
