import { Module } from '@nestjs/common';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { Test } from '@nestjs/testing';
import { Authenticator, CoreModule, Database } from '../../src/core/index.js';
import { BusinessGauges } from '../../src/modules/monitoring/metrics/business/business-gauges.js';
import { MonitoringConfig } from '../../src/modules/monitoring/metrics/config/monitoring-config.js';
import { MetricsSink } from '../../src/modules/monitoring/metrics/metrics-sink.port.js';
import type { MetricSample } from '../../src/modules/monitoring/metrics/metrics.types.js';
import { RequestRecorder } from '../../src/modules/monitoring/metrics/requests/request-recorder.js';
import { SnapshotSources } from '../../src/modules/monitoring/metrics/snapshot-sources.js';
import {
  METRICS_STORAGE_CONTROLLERS,
  METRICS_STORAGE_PROVIDERS,
} from '../../src/modules/monitoring/metrics/storage.providers.js';
import { MonitoringOptions } from '../../src/modules/monitoring/monitoring.options.js';
import { eventually } from '../support/eventually.js';
import { FakeAuthenticator } from '../support/fake-authenticator.js';
import { routeMinute, tick } from '../support/metrics-storage.js';
import { createDatabase } from '../support/test-database.js';

@Module({
  providers: [
    ...METRICS_STORAGE_PROVIDERS,
    SnapshotSources,
    RequestRecorder,
    { provide: MonitoringOptions, useValue: { collectIntervalMs: 20_000 } satisfies MonitoringOptions },
    { provide: Authenticator, useClass: FakeAuthenticator },
  ],
  controllers: [...METRICS_STORAGE_CONTROLLERS],
})
class StorageModule {}

async function start(url: string, instanceId: string): Promise<NestFastifyApplication> {
  const testing = await Test.createTestingModule({
    imports: [
      CoreModule.forRoot({ instanceId, database: { url, poolMax: 2, poolOverflow: 8 } }),
      StorageModule,
    ],
  }).compile();
  const app = testing.createNestApplication<NestFastifyApplication>(new FastifyAdapter());
  app.useLogger(false);
  app.setGlobalPrefix('api/v1');
  await app.init();
  return app;
}

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;

describe('metrics history over HTTP', () => {
  let target: Awaited<ReturnType<typeof createDatabase>>;
  let app: NestFastifyApplication;
  let other: NestFastifyApplication;
  beforeAll(async () => {
    target = await createDatabase();
    app = await start(target.url, 'a');
    other = await start(target.url, 'b');
  });
  afterAll(async () => {
    await app.close();
    await other.close();
    await target.drop();
  });

  async function call(method: 'GET' | 'POST' | 'PUT', path: string, as: string, payload?: object, to = app) {
    const headers = as === 'key' ? { 'x-api-key': 'k' } : { authorization: `Bearer ${as}` };
    const reply = await to.inject({
      method,
      url: `/api/v1/monitoring${path}`,
      headers,
      ...(payload && { payload }),
    });
    return { status: reply.statusCode, body: reply.json<ReturnType<typeof JSON.parse>>() };
  }

  const post = (samples: unknown[], as = 'key') => call('POST', '/metrics', as, { samples });
  const iso = (ms: number) => new Date(ms).toISOString();

  describe('business samples', () => {
    it('are on disk when they are acknowledged', async () => {
      const at = iso(Date.now() - 1_000);
      const { status, body } = await post([
        { name: 'orders.open', value: 17, at, labels: { shop: 'north' } },
      ]);
      expect([status, body]).toEqual([202, { accepted: 1, rejected: [] }]);
      const rows = await app
        .get(Database)
        .query(
          `SELECT s.name, s.labels, b.at, b.value FROM vigia.business_samples b JOIN vigia.metric_series s ON s.id = b.series_id WHERE s.name = 'business.orders.open'`,
        );
      expect(rows).toEqual([
        { name: 'business.orders.open', labels: { shop: 'north' }, at: new Date(at), value: 17 },
      ]);
    });

    it('that are bad reject themselves alone, each with its reason', async () => {
      const bad: [unknown, RegExp][] = [
        [{ name: 'Upper', value: 1 }, /^name: /],
        [{ name: 'a..b', value: 1 }, /^name: /],
        [{ name: 'x'.repeat(101), value: 1 }, /^name: /],
        [{ name: 'a', value: '1' }, /^value: /],
        [{ name: 'a', value: null }, /^value: /],
        [{ name: 'a', value: 1e300 }, /^value: /],
        [{ name: 'a' }, /^value: /],
        [{ name: 'a', value: 1, extra: 1 }, /extra/],
        [{ name: 'a', value: 1, at: 'yesterday' }, /^at: /],
        [{ name: 'a', value: 1, at: iso(Date.now() + 40_000) }, /^at: .*future/],
        [{ name: 'a', value: 1, at: iso(Date.now() - 31 * DAY_MS - MINUTE_MS) }, /^at: .*31 days/],
        [{ name: 'a', value: 1, labels: { instance: 'x' } }, /reserved/],
        [{ name: 'a', value: 1, labels: { k: 'v'.repeat(65) } }, /^labels/],
        [
          {
            name: 'a',
            value: 1,
            labels: Object.fromEntries(Array.from({ length: 9 }, (_, i) => [`l${i}`, 'v'])),
          },
          /at most 8/,
        ],
        [{ name: 'a', value: 1, labels: { k: 1 } }, /^labels/],
        [{ name: 'a', value: 1, labels: { k: '\ud800' } }, /^labels/],
        [{ name: 'a', value: 1, labels: { k: 'a\u0000' } }, /^labels/],
        [{ name: 'a', value: 1, labels: { 'k\u0000': 'a' } }, /^labels/],
        [7, /./],
        [null, /./],
      ];
      const good = { name: 'good.one', value: 1, at: iso(Date.now() + 15_000) };
      const { status, body } = await post([...bad.map(([input]) => input), good]);
      expect([status, body.accepted]).toEqual([202, 1]);
      expect(body.rejected.map(({ index }: { index: number }) => index)).toEqual(bad.map((_, i) => i));
      bad.forEach(([, reason], i) => expect(body.rejected[i].reason).toMatch(reason));
    });

    it('are refused as a whole when the envelope is wrong', async () => {
      expect((await post(Array.from({ length: 501 }, () => ({ name: 'a', value: 1 })))).status).toBe(400);
      expect((await post([])).status).toBe(400);
      expect((await call('POST', '/metrics', 'operator', { samples: [], more: 1 })).status).toBe(400);
      expect((await call('POST', '/metrics', 'operator')).status).toBe(400);
    });

    it('may be posted by operators and keys, not by viewers', async () => {
      expect((await post([{ name: 'a.b', value: 1 }], 'viewer')).status).toBe(403);
      expect((await post([{ name: 'a.b', value: 1 }], 'operator')).status).toBe(202);
      expect((await post([{ name: 'a.b', value: 1 }], 'nobody')).status).toBe(401);
    });

    it('that come late land in their bucket, and history shows them at once', async () => {
      const hour = Math.floor((Date.now() - 20 * DAY_MS) / 3_600_000) * 3_600_000;
      await post([{ name: 'late.gauge', value: 123_456_789.25, at: iso(hour + 1_000) }]);
      const read = async (points: number) => {
        const path = `/metrics/business.late.gauge?from=${iso(hour - 3_600_000)}&to=${iso(hour + 7_200_000)}&points=${points}`;
        return (await call('GET', path, 'viewer')).body;
      };
      const first = {
        at: iso(hour),
        min: 123_456_789.25,
        avg: 123_456_789.25,
        max: 123_456_789.25,
        count: 1,
      };
      expect((await read(3)).points).toEqual([first]);
      // A second one, after that hour was rolled up by the loop that runs in this app, opens it again.
      const due = `SELECT 1 FROM vigia.metric_rollup_queue WHERE kind = 'business' AND bucket = $1`;
      await eventually(
        async () => (await app.get(Database).query(due, [new Date(hour)])).length === 0,
        15_000,
      );
      await post([
        { name: 'late.gauge', value: 7, at: iso(hour + 2_000) },
        { name: 'late.gauge', value: 9, at: iso(hour + 2_000) },
      ]);
      const { points, unit, labels, stepMs } = await read(3);
      expect({ unit, labels, stepMs }).toEqual({ unit: '', labels: {}, stepMs: 3_600_000 });
      expect(points).toMatchObject([{ at: iso(hour), min: 9, count: 2 }]);
      expect((await read(300)).points).toMatchObject([{ at: iso(hour), min: 9, count: 2 }]);
    });

    it('appear among the names and in the snapshots of every instance', async () => {
      await post([{ name: 'shared.gauge', value: 5 }]);
      expect(app.get(BusinessGauges).latest()['shared.gauge']).toBe(5);
      const names = (await call('GET', '/metrics/names', 'viewer', undefined, other)).body.items;
      expect(names).toContainEqual({
        name: 'business.shared.gauge',
        unit: '',
        description: expect.any(String),
        kind: 'gauge',
      });
      expect(names).toContainEqual(
        expect.objectContaining({ name: 'cpu.usage_percent', unit: 'percent', kind: 'gauge' }),
      );
      await eventually(() => other.get(BusinessGauges).latest()['shared.gauge'] === 5, 10_000);
    });
  });

  describe('history', () => {
    it('answers several metrics, one series per label set', async () => {
      const atMs = Math.floor((Date.now() - 5 * MINUTE_MS) / MINUTE_MS) * MINUTE_MS;
      const samples: MetricSample[] = [
        { name: 'disk.used_percent', labels: { mount: '/' }, value: 40 },
        { name: 'disk.used_percent', labels: { mount: '/data' }, value: 50.1 },
        { name: 'cpu.usage_percent', labels: {}, value: 12.3 },
      ];
      await app.get(MetricsSink).store({ ...tick(atMs, {}), samples });
      const { status, body } = await call(
        'GET',
        '/metrics/history?names=cpu.usage_percent,disk.used_percent&points=60',
        'viewer',
      );
      expect(status).toBe(200);
      const of = (name: string, labels: object, value: number) => ({
        ...{ name, unit: 'percent', labels },
        points: [{ at: expect.any(String), min: value, avg: value, max: value, count: 1 }],
      });
      expect(body.series).toEqual([
        of('cpu.usage_percent', {}, 12.3),
        of('disk.used_percent', { mount: '/' }, 40),
        of('disk.used_percent', { mount: '/data' }, 50.1),
      ]);
      expect(Date.parse(body.to) - Date.parse(body.from)).toBe(3_600_000);
      expect(body.stepMs % 60_000).toBe(0);
      const one = (await call('GET', '/metrics/disk.used_percent?label=mount:/data', 'viewer')).body;
      expect(one).toMatchObject({
        name: 'disk.used_percent',
        labels: { mount: '/data' },
        labelSets: [{ mount: '/' }, { mount: '/data' }],
      });
      expect((await call('GET', '/metrics/disk.used_percent?label=mount:/no', 'viewer')).status).toBe(404);
      expect((await call('GET', '/metrics/cpu.usage_percent?instance=a', 'viewer')).body.points).toHaveLength(
        1,
      );
      expect((await call('GET', '/metrics/cpu.usage_percent?instance=zz', 'viewer')).body.points).toEqual([]);
    });

    it('answers a metric of as many label sets as there may be checks, one of them or all', async () => {
      const atMs = Math.floor((Date.now() - 2 * MINUTE_MS) / MINUTE_MS) * MINUTE_MS;
      const samples: MetricSample[] = Array.from({ length: 201 }, (_, i) => ({
        ...{ name: 'check.latency_ms', labels: { check: `c${1_000 + i}` }, value: i },
      }));
      await app.get(MetricsSink).store({ ...tick(atMs, {}), instance: 'checker', samples });
      const last = await call('GET', '/metrics/check.latency_ms?label=check:c1200', 'viewer');
      expect([last.status, last.body.labels, last.body.points?.[0]?.avg]).toEqual([
        200,
        { check: 'c1200' },
        200,
      ]);
      expect(last.body.labelSets).toHaveLength(201);
      expect((await call('GET', '/metrics/check.latency_ms', 'viewer')).body.labels).toEqual({
        check: 'c1000',
      });
      const all = await call('GET', '/metrics/history?names=check.latency_ms', 'viewer');
      expect(all.body.series.map(({ points }: { points: { avg: number }[] }) => points[0]?.avg)).toEqual(
        samples.map(({ value }) => value),
      );
      const finest = '/metrics/history?names=check.latency_ms&points=2000&from=2026-01-01T00:00:00Z';
      expect((await call('GET', finest, 'viewer')).body.code).toBe('RANGE_TOO_WIDE');
      // Checks that are long gone do not count.
      await app
        .get(Database)
        .execute(
          `UPDATE vigia.metric_series SET last_seen_at = now() - interval '3 days' WHERE name LIKE 'check.%'`,
        );
      expect((await call('GET', '/metrics/check.latency_ms', 'viewer')).body.labelSets).toEqual([]);
    });

    it.each([
      ['points=1', 400],
      ['points=2001', 400],
      ['points=3.5', 400],
      ['points=2&points=3', 400],
      ['from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z', 400],
      ['from=2026-01-01T00:00:00Z&to=2026-01-01T00:00:00Z', 400],
      ['from=yesterday', 400],
      ['nonsense=1', 400],
      ['from=2200-01-01T00:00:00Z', 400],
      ['from=1900-01-01T00:00:00Z', 200],
      ['from=0001-01-01T00:00:00Z&to=9999-12-31T00:00:00Z&points=2000', 200],
      ['to=0001-01-01T00:00:00Z', 200],
      ['instance=%00', 400],
    ])('answers ?%s by %i', async (query, status) => {
      const answer = await call('GET', `/metrics/cpu.usage_percent?${query}`, 'viewer');
      expect([answer.status, answer.body.code]).toEqual([
        status,
        status === 400 ? 'VALIDATION_FAILED' : undefined,
      ]);
      expect((await call('GET', `/metrics/history?names=cpu.usage_percent&${query}`, 'viewer')).status).toBe(
        status,
      );
    });

    it.each([
      ['/metrics/no.such_metric', 404],
      ['/metrics/history?names=cpu.usage_percent,no.such_metric', 404],
      ['/metrics/history', 400],
      ['/metrics/history?names=', 400],
      [`/metrics/history?names=${new Array(21).fill('cpu.cores').join(',')}`, 400],
      ['/metrics/%00', 404],
      ["/metrics/'; DROP TABLE x", 404],
      ['/metrics/cache.hit_percent', 200],
      ['/metrics/requests.p95_ms', 200],
    ])('answers %s by %i', async (path, status) => {
      expect((await call('GET', path, 'viewer')).status).toBe(status);
    });

    it('is for viewers and above', async () => {
      expect((await call('GET', '/metrics/names', 'user')).status).toBe(403);
      expect((await call('GET', '/metrics/cpu.usage_percent', 'user')).status).toBe(403);
      expect((await call('GET', '/performance', 'user')).status).toBe(403);
    });
  });

  describe('performance', () => {
    it('answers per route over all instances', async () => {
      const minuteMs = Math.floor(Date.now() / MINUTE_MS) * MINUTE_MS - MINUTE_MS;
      await app
        .get(MetricsSink)
        .storeRouteMinutes('a', minuteMs, [routeMinute('/orders/:id', [10, 20, 30], 1)], 'x');
      await app.get(MetricsSink).storeRouteMinutes('b', minuteMs, [routeMinute('/orders/:id', [40])], 'y');
      const { status, body } = await call('GET', '/performance?window=5m', 'viewer');
      expect(status).toBe(200);
      expect(Object.keys(body)).toEqual(['window', 'from', 'to', 'items']);
      expect(body.items).toEqual([
        {
          ...{
            method: 'GET',
            route: '/orders/:id',
            requests: 4,
            requestsPerMinute: expect.any(Number),
            errorPercent: 25,
          },
          ...{
            avgMs: 25,
            p50Ms: expect.closeTo(20, 0),
            p95Ms: expect.closeTo(40, 0),
            p99Ms: expect.closeTo(40, 0),
            maxMs: 40,
          },
        },
      ]);
      // Of the time since the first minute that was stored, which is one to five minutes ago.
      expect(body.items[0].requestsPerMinute).toBeGreaterThanOrEqual(0.8);
      expect(body.items[0].requestsPerMinute).toBeLessThanOrEqual(4);
      expect((await call('GET', '/performance?window=2h', 'viewer')).status).toBe(400);
      expect((await call('GET', '/performance?window=24h&instance=b', 'viewer')).body.items).toMatchObject([
        { requests: 1 },
      ]);
    });
  });

  describe('configuration', () => {
    it('starts from the environment and what is shipped', async () => {
      const { body } = await call('GET', '/config', 'viewer');
      expect(body).toMatchObject({ collectIntervalMs: 20_000, healthIntervalMs: 30_000, version: 0 });
      expect(body.retention).toMatchObject({
        rawMs: 2 * DAY_MS,
        minuteMs: 30 * DAY_MS,
        hourMs: 731 * DAY_MS,
      });
      expect(body.thresholds.cpuPercent).toEqual({ warning: 60, critical: 80 });
    });

    it('is in force on every instance within a second of a change', async () => {
      const heard: number[] = [];
      other.get(MonitoringConfig).onChange(({ collectIntervalMs }) => heard.push(collectIntervalMs));
      const { status, body } = await call('PUT', '/config', 'admin', {
        collectIntervalMs: 1_000,
        thresholds: { cpuPercent: { warning: 50, critical: 70 } },
      });
      expect([status, body.collectIntervalMs, body.version]).toEqual([200, 1_000, 1]);
      await eventually(() => heard.length > 0, 1_000);
      expect(heard).toEqual([1_000]);
      const seen = (await call('GET', '/config', 'viewer', undefined, other)).body;
      expect(seen).toEqual(body);
      expect(seen.thresholds.memoryPercent).toEqual({ warning: 70, critical: 90 });
    });

    it('can be written back as it was read, and refuses a version that is no longer the newest', async () => {
      const { body } = await call('GET', '/config', 'admin');
      const written = await call('PUT', '/config', 'admin', { ...body, healthIntervalMs: 5_000 });
      expect([written.status, written.body.version]).toEqual([200, body.version + 1]);
      const stale = await call('PUT', '/config', 'admin', { ...body, healthIntervalMs: 6_000 });
      expect([stale.status, stale.body.code]).toEqual([409, 'CONFLICT']);
      const reset = await call('PUT', '/config', 'admin', {});
      expect(reset.body).toMatchObject({ collectIntervalMs: 20_000, healthIntervalMs: 30_000 });
    });

    it.each([
      [{ collectIntervalMs: 999 }],
      [{ healthIntervalMs: 0 }],
      [{ collectIntervalMs: '1000' }],
      [{ nonsense: 1 }],
      [{ retention: { rawMs: 31 * DAY_MS, minuteMs: DAY_MS } }],
      [{ retention: { hourMs: 8 * DAY_MS } }],
      [{ thresholds: { cpuPercent: { warning: 80, critical: 60 } } }],
      [{ thresholds: { cpuPercent: { warning: 80 } } }],
      [{ thresholds: { cpuPercent: { warning: 80, critical: 101 } } }],
    ])('refuses %j', async (document) => {
      expect((await call('PUT', '/config', 'admin', document)).status).toBe(400);
    });

    it('is changed by admins alone', async () => {
      expect((await call('PUT', '/config', 'operator', {})).status).toBe(403);
      expect((await call('GET', '/config', 'user')).status).toBe(403);
    });
  });
});
