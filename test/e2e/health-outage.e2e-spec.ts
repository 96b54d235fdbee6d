import { request as httpRequest } from 'node:http';
import { buildApp, type TestApp } from '../support/build-app.js';
import { eventually } from '../support/eventually.js';
import { TcpProxy } from '../support/tcp-proxy.js';
import { createDatabase } from '../support/test-database.js';

const base = '/api/v1/monitoring';
/** How long PostgreSQL stays away: long enough for connections to pile up. */
const OUTAGE_MS = 12_000;

describe('PostgreSQL is lost and comes back', () => {
  let proxy: TcpProxy;
  let test: TestApp;
  let drop: () => Promise<void>;
  beforeAll(async () => {
    const database = await createDatabase();
    drop = database.drop;
    const url = new URL(database.url);
    proxy = await TcpProxy.start({ host: url.hostname, port: Number(url.port) });
    url.hostname = '127.0.0.1';
    url.port = String(proxy.port);
    test = await buildApp({ HEALTH_INTERVAL_MS: '30000' }, { url: url.href });
  });
  afterAll(async () => {
    await test.close();
    await proxy.stop();
    await drop();
  });

  const readyIs = (status: number, withinMs: number) =>
    eventually(async () => (await test.request('GET', `${base}/health/ready`)).status === status, withinMs);

  /** Answers of a probe during an outage, each with how long it took. */
  async function timed(
    path: string,
  ): Promise<{ status: number; tookMs: number; body: { status: string; code?: string } }> {
    const startedMs = performance.now();
    const { status, body } = await test.request('GET', path, { as: test.adminToken });
    return { status, body, tookMs: performance.now() - startedMs };
  }

  it.each([
    ['refuses', () => proxy.refuse()],
    ['falls silent', () => proxy.blackHole()],
    ['falls silent, and the silent connections never speak again', () => proxy.blackHole()],
    [
      'resets and refuses',
      async () => {
        proxy.cut();
        await proxy.refuse();
      },
    ],
  ])(
    'when it %s: not ready within 5 s, alive all the time, ready again within 10 s',
    async (way, lose) => {
      await readyIs(200, 10_000);
      const lostMs = performance.now();
      await lose();
      await readyIs(503, 5_000);
      const noticedMs = performance.now() - lostMs;
      while (performance.now() - lostMs < OUTAGE_MS) {
        const [live, health, detailed] = await Promise.all([
          timed(`${base}/health/live`),
          timed(`${base}/health`),
          timed(`${base}/health/detailed`),
        ]);
        expect(live).toMatchObject({ status: 200, body: { status: 'up' } });
        expect(health).toMatchObject({ status: 503, body: { status: 'down' } });
        expect(detailed).toMatchObject({ status: 503, body: { code: 'DEPENDENCY_UNAVAILABLE' } });
        expect(health.tookMs).toBeLessThan(1_000);
        expect(detailed.tookMs).toBeLessThan(5_000);
        await new Promise((resolve) => setTimeout(resolve, 250)); // the outage lasts; this is its load
      }
      const returnedMs = performance.now();
      await proxy.pass();
      await readyIs(200, 10_000);
      process.stdout.write(
        `noticed after ${Math.round(noticedMs)} ms, ready again after ${Math.round(performance.now() - returnedMs)} ms\n`,
      );
    },
    60_000,
  );

  it('remembers the outages as incidents', async () => {
    const [database] = await eventually(async () => {
      const { body } = await test.request('GET', `${base}/uptime?component=database`, {
        as: test.adminToken,
      });
      return body.items?.[0]?.incidents === 4 && body.items;
    }, 10_000);
    expect(database.downMs).toBeGreaterThan(3.5 * OUTAGE_MS);
    expect(database.mttrMs).toBeGreaterThan(OUTAGE_MS * 0.8);
  });
});

describe('an orderly stop', () => {
  it('fails readiness first, while requests are still answered', async () => {
    const test = await buildApp({ SHUTDOWN_DELAY_MS: '0' });
    const { Shutdown } = await import('../../src/core/index.js');
    test.app.get(Shutdown).beginDrain();
    expect((await test.request('GET', `${base}/health/ready`)).status).toBe(503);
    expect((await test.request('GET', `${base}/health/live`)).status).toBe(200);
    expect((await test.request('GET', `${base}/health`)).status).toBe(200);
    await test.close();
    await expect(
      new Promise((resolve, reject) => httpRequest(`${test.url}/`, resolve).once('error', reject).end()),
    ).rejects.toThrow();
  });
});
