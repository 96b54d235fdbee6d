import { connect } from 'node:net';
import { once } from 'node:events';
import { MetricsCollected } from '../../src/modules/monitoring/metrics/metrics.events.js';
import { Collector } from '../../src/modules/monitoring/metrics/collector.js';
import { RequestRecorder } from '../../src/modules/monitoring/metrics/requests/request-recorder.js';
import { SnapshotSources } from '../../src/modules/monitoring/metrics/snapshot-sources.js';
import { snapshotAnswer, systemInfoAnswer } from '../../src/modules/monitoring/metrics/metrics.dto.js';
import type { Snapshot } from '../../src/modules/monitoring/metrics/metrics.types.js';
import { EventBus } from '../../src/core/index.js';
import { eventually } from '../support/eventually.js';
import { snapshotFixture } from '../support/metrics-fixtures.js';
import { buildRecordingApp, type RecordingApp } from '../support/recording-app.js';

let on: RecordingApp;
let recorder: RequestRecorder;

beforeEach(async () => {
  on = await buildRecordingApp({
    version: '1.2.3',
    metricsAllowedCidrs: ['10.1.0.0/16', 'fd00::/8', '198.51.100.7'],
  });
  recorder = on.app.get(RequestRecorder);
});
afterEach(() => on.close());

/** What was counted since the last look: `METHOD route` → figures. */
function counted() {
  return Object.fromEntries(
    recorder.drain().map(({ endpoint: { method, route }, counts }) => {
      const { requests, serverErrors, clientErrors, aborted } = counts;
      return [`${method} ${route}`, [requests, serverErrors, clientErrors, aborted]];
    }),
  );
}

/** Sends raw bytes and hands back the socket. */
async function send(text: string) {
  const socket = connect(on.port, '127.0.0.1');
  await once(socket, 'connect');
  socket.write(text);
  return socket;
}

describe('the request recorder', () => {
  it('counts by route template, with the status that the client saw', async () => {
    for (const id of ['1', '2', 'bad', 'broken']) await on.get(`/api/v1/demo/items/${id}`);
    expect(counted()).toEqual({ 'GET /api/v1/demo/items/:id': [4, 1, 1, 0] });
  });

  it('sees requests that were refused before any handler, under their route', async () => {
    expect((await on.get('/api/v1/demo/private')).status).toBe(401);
    expect(counted()).toEqual({ 'GET /api/v1/demo/private': [1, 0, 1, 0] });
  });

  it('counts all unknown paths under one name', async () => {
    for (let i = 0; i < 20; i++) expect((await on.get(`/made/up/${i}`)).status).toBe(404);
    expect(counted()).toEqual({ 'GET __unknown__': [20, 0, 20, 0] });
  });

  it('sees malformed URLs, which no hook of the framework sees', async () => {
    expect((await on.get('/api/v1/demo/items/%E0%A4%A')).status).toBe(400);
    expect(Object.values(counted())).toEqual([[1, 0, 1, 0]]);
  });

  it('counts a caller who left before the answer apart, also when the body had been read', async () => {
    const body = '{"a":1}';
    const socket = await send(
      `POST /api/v1/demo/slow HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
    );
    await eventually(() => on.waiting() === 1);
    expect(recorder.active).toBe(1);
    socket.destroy();
    await eventually(() => recorder.active === 0);
    on.release();
    expect(counted()).toEqual({ 'POST /api/v1/demo/slow': [0, 0, 0, 1] });
    expect(recorder.summary().requests).toBe(0);
  });

  it('ends a stream with its connection, and keeps its length out of latencies', async () => {
    const socket = await send('GET /api/v1/demo/stream HTTP/1.1\r\nHost: x\r\n\r\n');
    await once(socket, 'data');
    socket.destroy();
    await eventually(() => recorder.active === 0);
    expect(counted()).toEqual({ 'GET /api/v1/demo/stream': [0, 0, 0, 1] });
  });

  it('does the same for server-sent events', async () => {
    const abort = new AbortController();
    const headers = { accept: 'text/event-stream' };
    const answer = await fetch(`${on.url}/api/v1/demo/events`, { headers, signal: abort.signal });
    expect(answer.status).toBe(200);
    abort.abort();
    await eventually(() => recorder.active === 0);
    expect(counted()).toEqual({ 'GET /api/v1/demo/events': [0, 0, 0, 1] });
  });

  it('counts each user once, however often they call, and keys and strangers not', async () => {
    for (const bearer of ['user:ann', 'user:ann', 'viewer:bob', undefined])
      await on.get('/api/v1/demo/private', bearer);
    expect(recorder.activeUsers().map(({ id }) => id)).toEqual(['ann', 'bob']);
  });
});

describe('GET /monitoring/metrics/current', () => {
  const current = async (query = '') => on.get(`/api/v1/monitoring/metrics/current${query}`, 'viewer');

  it('answers from the first moment on, in the promised shape, with real values of this machine', async () => {
    const { status, text } = await current();
    const snapshot = JSON.parse(text) as Snapshot;
    expect(status).toBe(200);
    expect(snapshotAnswer.parse(snapshot)).toEqual(snapshot);
    expect(snapshot.instance).toBe('here');
    expect(snapshot.memory.total).toBeGreaterThan(1e8);
    expect(snapshot.disk.some(({ mount }) => mount === '/')).toBe(true);
    expect(snapshot.process.connections).toBe(null); // the server did not listen yet
    expect([snapshot.database, snapshot.cache, snapshot.sockets]).toEqual([null, null, null]);
  });

  it('knows rates and CPU after two readings, and announces each collection', async () => {
    const announced: MetricsCollected[] = [];
    on.app.get(EventBus).on(MetricsCollected, (event) => void announced.push(event));
    const event = (await eventually(() => announced[1]))!;
    expect(event.snapshot.cpu.usage).toBeGreaterThanOrEqual(0);
    expect(event.snapshot.process.eventLoopUtilization).toBeGreaterThanOrEqual(0);
    expect(event.atMs % 1_000).toBe(0);
    expect(Date.parse(event.snapshot.at)).toBe(event.atMs);
    expect(JSON.parse((await current()).text)).toMatchObject({
      process: { connections: expect.any(Number) },
    });
  });

  it('is the same document at /monitoring/metrics', async () => {
    on.app.get(Collector).setInterval(60_000);
    const [one, other] = [await current(), await on.get('/api/v1/monitoring/metrics', 'viewer')];
    expect(other.text).toBe(one.text);
  });

  it('shows the gauges that library users registered', async () => {
    on.app.get(SnapshotSources).registerGauge('orders.open', () => 7);
    const business = await eventually(
      async () => (JSON.parse((await current()).text) as Snapshot).business['orders.open'],
    );
    expect(business).toBe(7);
  });

  it("answers with another instance's stored snapshot, and 404 for an instance nobody knows", async () => {
    on.sink.snapshots.set('there', { ...snapshotFixture(), instance: 'there' });
    expect(JSON.parse((await current('?instance=there')).text)).toMatchObject({ instance: 'there' });
    expect(JSON.parse((await current('?instance=here')).text)).toMatchObject({ instance: 'here' });
    expect((await current('?instance=nowhere')).status).toBe(404);
    expect((await current('?instance=')).status).toBe(400);
    expect((await current('?unknown=1')).status).toBe(400);
  });

  it('is for viewers', async () => {
    expect((await on.get('/api/v1/monitoring/metrics/current')).status).toBe(401);
    expect((await on.get('/api/v1/monitoring/metrics/current', 'user')).status).toBe(403);
  });
});

describe('GET /monitoring/system/info', () => {
  it('describes the machine and the versions, and nothing of the environment', async () => {
    process.env.VIGIA_TEST_SECRET = 'do-not-show-this';
    const { text } = await on.get('/api/v1/monitoring/system/info', 'viewer');
    const info = systemInfoAnswer.parse(JSON.parse(text));
    expect(info).toMatchObject({
      app: { version: '1.2.3', instance: 'here' },
      node: { version: process.versions.node },
    });
    expect(info.cpu.count).toBeGreaterThan(0);
    expect(info.dependencies).toMatchObject({ fastify: expect.stringMatching(/^\d/), postgresql: null });
    expect(text).not.toContain('do-not-show-this');
    delete process.env.VIGIA_TEST_SECRET;
  });
});

describe('GET /metrics', () => {
  const value = (text: string, series: string) =>
    text
      .split('\n')
      .find((line) => line.startsWith(`${series} `))
      ?.split(' ')
      .at(-1);

  it('is Prometheus text with requests by route and status class', async () => {
    for (const id of ['1', '2', 'broken']) await on.get(`/api/v1/demo/items/${id}`);
    const { status, text, headers } = await on.get('/metrics', 'viewer');
    expect(status).toBe(200);
    expect(headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8');
    const labels = 'method="GET",route="/api/v1/demo/items/:id"';
    expect(value(text, `http_requests_total{${labels},status="2xx"}`)).toBe('2');
    expect(value(text, `http_requests_total{${labels},status="5xx"}`)).toBe('1');
    expect(value(text, `http_request_duration_seconds_count{${labels},status="2xx"}`)).toBe('2');
    expect(value(text, `http_request_duration_seconds_bucket{${labels},status="2xx",le="+Inf"}`)).toBe('2');
    expect(text).toMatch(
      /^vigia_build_info\{version="1\.2\.3",node_version="[\d.]+",instance_id="here"\} 1$/m,
    );
    expect(text).toMatch(/^vigia_memory_total_bytes \d+$/m);
    expect(text).toMatch(/^vigia_disk_used_percent\{mount="\/"\} [\d.]+$/m);
  });

  it('counts nothing twice over two scrapes, and each line stands once', async () => {
    await on.get('/api/v1/demo/items/1');
    await on.get('/metrics', 'viewer');
    const { text } = await on.get('/metrics', 'viewer');
    expect(value(text, 'http_requests_total{method="GET",route="/api/v1/demo/items/:id",status="2xx"}')).toBe(
      '1',
    );
    const series = text
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#'))
      .map((line) => line.slice(0, line.lastIndexOf(' ')));
    expect(new Set(series).size).toBe(series.length);
  });

  it('escapes what stands in labels', async () => {
    recorder.record(recorder.endpoint('GET', '/odd"\\\n'), 200, 1, 1);
    expect((await on.get('/metrics', 'viewer')).text).toContain('route="/odd\\"\\\\\\n"');
  });

  it('is for viewers, or for addresses that are allowed, and for nobody else', async () => {
    const from = async (address: string) =>
      (await fetch(`${on.url}/metrics`, { headers: { 'x-forwarded-for': address } })).status;
    expect((await on.get('/metrics')).status).toBe(401);
    expect((await on.get('/metrics', 'user')).status).toBe(403);
    expect(await from('10.1.2.3')).toBe(200);
    expect(await from('::ffff:10.1.2.3')).toBe(200);
    expect(await from('fd00::1')).toBe(200);
    expect(await from('198.51.100.7')).toBe(200); // a bare address is a range of one
    expect(await from('198.51.100.8')).toBe(401);
    expect(await from('10.2.2.3')).toBe(401);
    expect(await from('nonsense')).toBe(401);
  });
});

describe('an orderly stop', () => {
  it('writes the minute that is not over and the last ticks', async () => {
    const stopping = await buildRecordingApp();
    await stopping.get('/api/v1/demo/items/1');
    await stopping.app.get(Collector).collect({ atMs: 1_000, lateMs: 0 });
    await stopping.close();
    expect(stopping.sink.minutes).toEqual([
      expect.objectContaining({ route: '/api/v1/demo/items/:id', requests: 1 }),
    ]);
    expect(stopping.sink.ticks.map(({ atMs }) => atMs)).toContain(1_000);
  });
});
