import { once } from 'node:events';
import { createServer as createHttp, type Server as HttpServer } from 'node:http';
import { createServer, type AddressInfo, type Server } from 'node:net';
import {
  AddressGuard,
  EventBus,
  Instance,
  Leases,
  LeaseLostError,
  Database,
  type Resolve,
} from '../../src/core/index.js';
import { OutsideChecksStore } from '../../src/modules/monitoring/checks/stores/outside-checks.store.js';
import { OutsideWatcher } from '../../src/modules/monitoring/checks/outside-watcher.js';
import { HealthChanged, MonitoringService } from '../../src/modules/monitoring/index.js';
import { buildApp, type TestApp } from '../support/build-app.js';
import { eventually } from '../support/eventually.js';
import { serverUrl } from '../support/test-database.js';

const base = '/api/v1/monitoring';

describe('outside checks at work', () => {
  let web: HttpServer;
  let tcp: Server;
  let silent: Server;
  let origin: string;
  let hits = 0;
  /** Where a redirect leads that must not be followed. */
  let inner: HttpServer;
  let innerHits = 0;
  let forbidden = '';
  const answer = { status: 200 };
  const portOf = (server: { address(): unknown }) => (server.address() as AddressInfo).port;
  let first: TestApp;
  let second: TestApp;

  beforeAll(async () => {
    web = createHttp((request, response) => {
      hits += 1;
      if (request.url === '/moved') return void response.writeHead(302, { location: forbidden }).end();
      if (request.url === '/endless') return void response.writeHead(200).write(Buffer.alloc(1024 * 1024));
      if (request.url === '/bucket') return void response.writeHead(403).end();
      response.writeHead(answer.status).end('the secret reply');
    });
    inner = createHttp((_, response) => {
      innerHits += 1;
      response.end();
    });
    await once(inner.listen(0, '127.0.0.2'), 'listening');
    forbidden = `http://127.0.0.2:${portOf(inner)}/`;
    tcp = createServer((socket) => {
      socket.on('error', () => undefined);
      socket.once('data', () => socket.write('-NOAUTH Authentication required.\r\n'));
    });
    silent = createServer((socket) => socket.on('error', () => undefined));
    for (const server of [web, tcp, silent]) await once(server.listen(0, '127.0.0.1'), 'listening');
    origin = `http://127.0.0.1:${portOf(web)}`;
    first = await buildApp({
      CHECK_ALLOWED_CIDRS: '127.0.0.1/32',
      HEALTH_INTERVAL_MS: '1000',
      INSTANCE_ID: 'first',
    });
    await eventually(() => first.app.get(OutsideWatcher).isLeader);
    second = await buildApp(
      { CHECK_ALLOWED_CIDRS: '127.0.0.1/32', HEALTH_INTERVAL_MS: '1000', INSTANCE_ID: 'second' },
      { url: first.databaseUrl },
    );
  });
  afterAll(async () => {
    await second.close();
    await first.close();
    web.closeAllConnections();
    for (const server of [web, tcp, silent, inner]) server.close();
  });

  const make = async (name: string, kind: string, target: string, extra: object = {}) => {
    const body = { name, kind, target, intervalMs: 1_000, timeoutMs: 500, ...extra };
    const made = await first.request('POST', `${base}/checks`, { as: first.adminToken, body });
    expect(made.status).toBe(200);
    return made.body as { id: string };
  };
  const seen = async (app: TestApp, name: string) =>
    (await app.request('GET', `${base}/health/detailed`, { as: first.adminToken })).body.checks[
      `check:${name}`
    ];
  const becomes = (app: TestApp, name: string, expected: object, withinMs = 12_000) =>
    eventually(async () => {
      const one = await seen(app, name);
      expect(one).toMatchObject(expected);
      return true;
    }, withinMs);

  it('find what answers, on the leader and for the other instances as well', async () => {
    const postgres = new URL(serverUrl());
    await make('web', 'http', `${origin}/`);
    await make('moved', 'http', `${origin}/moved`);
    await make('endless', 'http', `${origin}/endless`);
    await make('bucket', 's3', `${origin}/bucket`);
    await make('port', 'tcp', `127.0.0.1:${portOf(tcp)}`);
    await make('cache', 'redis', `redis://127.0.0.1:${portOf(tcp)}`);
    await make('db', 'postgres', `postgres://127.0.0.1:${postgres.port}`);
    for (const app of [first, second])
      for (const name of ['web', 'moved', 'endless', 'bucket', 'port', 'cache', 'db'])
        await becomes(app, name, { status: 'up', stale: false, critical: false });
    expect(innerHits).toBe(0); // the redirect is an answer, and leads where nothing may go
  });

  it('say by a code why one is down, and show nothing of the reply', async () => {
    await make('hanging', 'redis', `127.0.0.1:${portOf(silent)}`);
    await make('closed', 'tcp', '127.0.0.1:1');
    await make('no-redis', 'redis', `127.0.0.1:${portOf(web)}`);
    await make('no-bucket', 's3', `${origin}/none`);
    answer.status = 503;
    await becomes(first, 'web', { status: 'down', errorCode: 'HTTP_503' });
    await becomes(first, 'hanging', { status: 'down', errorCode: 'TIMEOUT' });
    await becomes(first, 'closed', { status: 'down', errorCode: 'CONNECTION_REFUSED' });
    await becomes(first, 'no-redis', { status: 'down', errorCode: 'PROTOCOL' });
    await becomes(second, 'closed', { status: 'down' });
    const { text } = await first.request('GET', `${base}/health/detailed`, { as: first.adminToken });
    expect(text).not.toContain('secret reply');
    answer.status = 200;
    await becomes(first, 'web', { status: 'up', consecutiveFailures: 0 });
  });

  it('never reach an address that is not allowed, whatever was stored', async () => {
    await first.app.get(Database).execute(`UPDATE vigia.outside_checks SET interval_ms = 86400000`); // not applied: no bus message
    const resolve: Resolve = (_, done) => done(null, [{ address: '127.0.0.2', family: 4 }]);
    Object.assign(first.app.get(AddressGuard, { strict: false }), { resolve });
    // Past the early refusal of POST, as a name that resolves there would be.
    for (const [i, target] of [forbidden, forbidden.replace('127.0.0.2', 'rebound.example')].entries())
      await first.app.get(OutsideChecksStore).create({
        name: `ssrf-${i}`,
        kind: 'http',
        target,
        intervalMs: 1_000,
        timeoutMs: 500,
        degradedAboveMs: 500,
        critical: false,
      });
    for (const name of ['ssrf-0', 'ssrf-1'])
      await becomes(first, name, { status: 'down', errorCode: 'ADDRESS_FORBIDDEN' });
    expect(innerHits).toBe(0);
  });

  it('apply a change on every instance at once', async () => {
    const { id } = await make('changing', 'http', `${origin}/`);
    await becomes(second, 'changing', { status: 'up' });
    await first.request('PUT', `${base}/checks/${id}`, {
      as: first.adminToken,
      body: { name: 'changed', kind: 'tcp', target: '127.0.0.1:1', intervalMs: 1_000, critical: true },
    });
    await becomes(second, 'changed', { status: 'down', critical: true });
    expect(await seen(second, 'changing')).toBeUndefined();
    expect((await second.request('GET', `${base}/health`)).status).toBe(503);
    expect((await first.request('GET', `${base}/health`)).body).toMatchObject({ status: 'critical' });
    await first.request('DELETE', `${base}/checks/${id}`, { as: first.adminToken });
    await eventually(async () => (await second.request('GET', `${base}/health`)).status === 200);
    const { body } = await first.request('GET', `${base}/uptime?component=check:changed`, {
      as: first.adminToken,
    });
    expect(body.items).toEqual([]);
  });

  it('announce each change of a component', async () => {
    const heard: HealthChanged[] = [];
    first.app.get(EventBus).on(HealthChanged, (event) => void heard.push(event));
    await make('announced', 'tcp', '127.0.0.1:1');
    await eventually(() =>
      heard.some(
        ({ component }) =>
          component?.name === 'check:announced' &&
          component.to === 'down' &&
          component.errorCode === 'CONNECTION_REFUSED',
      ),
    );
    expect(heard.every((event) => event.instance === 'first' && /Z$/.test(event.at))).toBe(true);
  });

  it('watch what library users register', async () => {
    const service = first.app.get(MonitoringService);
    let well = false;
    service.registerHealthCheck(
      'search',
      () => (well ? undefined : Promise.reject(new Error('password hunter2'))),
      { intervalMs: 1_000, failuresToDown: 1 },
    );
    await eventually(() => service.getHealthStatus().checks.search?.status === 'down');
    expect(service.getHealthStatus().checks.search?.errorCode).toBe('FAILED');
    well = true;
    await eventually(() => service.getHealthStatus().checks.search?.status === 'up');
    expect(() => service.registerHealthCheck('search', () => undefined)).toThrow(RangeError);
    expect(() => service.registerHealthCheck('check:x', () => undefined)).toThrow(RangeError);
    for (let i = 1; i < 50; i++) service.registerHealthCheck(`more-${i}`, () => undefined);
    expect(() => service.registerHealthCheck('one-more', () => undefined)).toThrow('50');
  });

  it('are bounded in number', async () => {
    await first.app.get(Database).execute(
      `INSERT INTO vigia.outside_checks (id, name, kind, target, interval_ms, timeout_ms, degraded_above_ms, critical)
       SELECT gen_random_uuid(), 'zz-' || n, 'tcp', '127.0.0.1:1', 86400000, 500, 500, false FROM generate_series(1, 200 - (SELECT count(*)::int FROM vigia.outside_checks)) n`,
    );
    const answers = await Promise.all(
      Array.from({ length: 3 }, (_, i) =>
        first.request('POST', `${base}/checks`, {
          as: first.adminToken,
          body: { name: `more-${i}`, kind: 'tcp', target: '127.0.0.1:1' },
        }),
      ),
    );
    for (const one of answers) expect(one).toMatchObject({ status: 409, body: { code: 'LIMIT_REACHED' } });
    await first.app.get(Database).execute(`DELETE FROM vigia.outside_checks WHERE name LIKE 'zz-%'`);
  });

  it('pass to another instance, which goes on counting and writes alone', async () => {
    const leases = first.app.get(Leases);
    const old = (await leases.acquire('outside-checks', first.app.get(Instance).holder))!;
    await first.app.close();
    await eventually(() => second.app.get(OutsideWatcher).isLeader, 10_000);
    await becomes(second, 'port', { status: 'up', stale: false });
    const before = hits;
    await eventually(() => hits > before);
    const store = second.app.get(OutsideChecksStore);
    await expect(store.writeStates(old, [], async () => undefined)).rejects.toThrow(LeaseLostError);
    const { items } = (
      await second.request('GET', `${base}/uptime?component=check:port`, { as: first.adminToken })
    ).body;
    expect(items[0]).toMatchObject({ component: 'check:port', downMs: 0, incidents: 0 });
    expect(items[0].unknownMs).toBeGreaterThan(0); // between the two leaders nobody watched
  });
});
