import { buildApp, type TestApp } from '../support/build-app.js';
import { eventually } from '../support/eventually.js';

/** The whole application: what the collector records is what history and BI show. */
describe('metrics of the running application', () => {
  let app: TestApp;
  beforeAll(async () => {
    app = await buildApp({ COLLECT_INTERVAL_MS: '1000' });
  });
  afterAll(() => app.close());

  const get = (path: string) => app.request('GET', `/api/v1/monitoring${path}`, { as: app.adminToken });

  it('show in history within seconds, and at the pace that the live configuration asks for', async () => {
    await eventually(async () => (await get('/metrics/cpu.usage_percent')).body.points?.length >= 2, 15_000);
    const { body } = await get(
      '/metrics/history?names=cpu.usage_percent,memory.used_bytes,disk.used_percent&points=2000',
    );
    expect(body.series.length).toBeGreaterThanOrEqual(3);
    const [cpu] = body.series[0].points;
    expect(cpu.avg).toBeGreaterThanOrEqual(0);
    expect(cpu.avg).toBeLessThanOrEqual(100);
    const put = await app.request('PUT', '/api/v1/monitoring/config', {
      as: app.adminToken,
      body: { collectIntervalMs: 2_000 },
    });
    expect(put.status).toBe(200);
    const since = new Date().toISOString();
    await eventually(
      async () =>
        (await get(`/metrics/cpu.usage_percent?from=${since}&points=2000`)).body.points?.length >= 2,
      15_000,
    );
    const { body: slower } = await get(`/metrics/cpu.usage_percent?from=${since}&points=2000`);
    const [first, second] = slower.points.slice(-2).map(({ at }: { at: string }) => Date.parse(at));
    expect(second - first).toBe(2_000);
  });

  it('carry posted business gauges in the next snapshots', async () => {
    await app.request('POST', '/api/v1/monitoring/metrics', {
      as: app.adminToken,
      body: { samples: [{ name: 'orders.open', value: 12 }] },
    });
    await eventually(
      async () => (await get('/metrics/current')).body.business?.['orders.open'] === 12,
      15_000,
    );
  });
});
