import { once } from 'node:events';
import { createServer as createHttp, type Server as HttpServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Database } from '../../src/core/index.js';
import { MonitoringService } from '../../src/modules/monitoring/index.js';
import { buildApp, type TestApp } from '../support/build-app.js';
import { eventually } from '../support/eventually.js';
import { RedisServer } from '../support/redis-server.js';

describe('the components that an instance itself depends on', () => {
  let redis: RedisServer;
  let store: HttpServer;
  let storeStatus = 200;
  let test: TestApp;

  beforeAll(async () => {
    redis = await RedisServer.start();
    store = createHttp((_, response) => response.writeHead(storeStatus).end());
    await once(store.listen(0, '127.0.0.1'), 'listening');
    process.env.AWS_ACCESS_KEY_ID = 'test';
    process.env.AWS_SECRET_ACCESS_KEY = 'test';
    test = await buildApp({
      HEALTH_INTERVAL_MS: '1000',
      REDIS_URL: redis.url,
      S3_BUCKET: 'backups',
      S3_ENDPOINT: `http://127.0.0.1:${(store.address() as AddressInfo).port}`,
    });
  }, 60_000);
  afterAll(async () => {
    await test.close();
    await redis.stop();
    store.closeAllConnections();
    store.close();
  });

  const detailed = async () =>
    (await test.request('GET', '/api/v1/monitoring/health/detailed', { as: test.adminToken })).body;
  const becomes = (name: string, expected: object, withinMs = 15_000) =>
    eventually(async () => {
      expect((await detailed()).checks[name]).toMatchObject(expected);
      return true;
    }, withinMs);

  it('are all up, workers by a heartbeat that a job wrote', async () => {
    for (const name of ['database', 'redis', 's3', 'api'])
      await becomes(name, { status: 'up', stale: false });
    await becomes('workers', { status: 'up' }, 30_000);
    expect(await detailed()).toMatchObject({ status: 'healthy', score: 100, deductions: [] });
  }, 60_000);

  it('lower the score by what is said, when Redis is lost, and heal when it returns', async () => {
    await redis.stop();
    await becomes('redis', { status: 'down', critical: false, errorCode: 'UNAVAILABLE' });
    expect(await detailed()).toMatchObject({
      status: 'warning',
      score: 85,
      deductions: [{ reason: 'redis is down', points: 15 }],
    });
    expect((await test.request('GET', '/api/v1/monitoring/health')).status).toBe(200);
    expect((await test.request('GET', '/api/v1/monitoring/health/ready')).status).toBe(200);
    await redis.start();
    await becomes('redis', { status: 'up' });
  }, 60_000);

  it('tell a bucket that is closed from one that is gone', async () => {
    storeStatus = 403;
    await becomes('s3', { status: 'down', errorCode: 'AUTH' });
    storeStatus = 404;
    await becomes('s3', { status: 'down', errorCode: 'HTTP_404' });
    storeStatus = 200;
    await becomes('s3', { status: 'up' });
  }, 60_000);

  it('notice workers that process nothing, though the queue takes jobs', async () => {
    const stopBeats = `CREATE RULE no_beats AS ON INSERT TO vigia.worker_heartbeat DO INSTEAD NOTHING`;
    await test.app.get(Database).execute(stopBeats);
    await test.app.get(Database).execute(`UPDATE vigia.worker_heartbeat SET at = at - interval '10 minutes'`);
    await becomes('workers', { status: 'down', errorCode: 'HEARTBEAT_LATE' });
    await test.app.get(Database).execute('DROP RULE no_beats ON vigia.worker_heartbeat');
    await becomes('workers', { status: 'up' }, 30_000);
  }, 60_000);

  it('call the API degraded when it is slow, and down when it fails, without taking it out of service', async () => {
    const service = test.app.get(MonitoringService);
    for (let i = 0; i < 400; i++) service.trackRequest(3_000, false);
    await becomes('api', { status: 'degraded', errorCode: 'SLOW', latencyMs: null });
    for (let i = 0; i < 200; i++) service.trackRequest(1, true);
    await becomes('api', { status: 'down', errorCode: 'ERRORS', critical: false });
    expect((await test.request('GET', '/api/v1/monitoring/health')).status).toBe(200);
  });

  it('are stored with every collection', async () => {
    test.app.get(MonitoringService).startAutoMonitoring(1_000);
    const points = await eventually(async () => {
      const { body } = await test.request(
        'GET',
        '/api/v1/monitoring/metrics/history?names=component.status',
        { as: test.adminToken },
      );
      return body.series?.length > 0 && body.series;
    }, 20_000);
    expect(points.map(({ labels }: { labels: { component: string } }) => labels.component)).toEqual(
      expect.arrayContaining(['database', 'redis', 's3']),
    );
  }, 30_000);

  it('become unknown when nobody watches any more, but for the database, on which readiness stands', async () => {
    await test.app.get(MonitoringService).stopAutoMonitoring();
    await becomes('redis', { status: 'unknown', stale: true });
    await becomes('database', { status: 'up' });
    expect((await test.request('GET', '/api/v1/monitoring/health/ready')).status).toBe(200);
    test.app.get(MonitoringService).startAutoMonitoring();
    await becomes('redis', { status: 'up' });
  }, 40_000);
});
