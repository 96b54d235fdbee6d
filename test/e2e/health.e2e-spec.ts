import { RequestRecorder } from '../../src/modules/monitoring/metrics/requests/request-recorder.js';
import { buildApp, type TestApp } from '../support/build-app.js';
import { eventually } from '../support/eventually.js';

describe('health over HTTP', () => {
  let test: TestApp;
  const base = '/api/v1/monitoring';
  beforeAll(async () => {
    test = await buildApp({ HEALTH_INTERVAL_MS: '1000', CHECK_ALLOWED_CIDRS: '' });
  });
  afterAll(() => test.close());
  const admin = (method: string, path: string, body?: unknown) =>
    test.request(method, path, { as: test.adminToken, ...(body !== undefined && { body }) });

  it('is open and short for everybody', async () => {
    const { status, body, headers } = await test.request('GET', `${base}/health`);
    expect(status).toBe(200);
    expect(headers.get('cache-control')).toBe('no-store');
    expect(body).toEqual({
      status: expect.stringMatching(/^(healthy|warning)$/),
      score: expect.any(Number),
      timestamp: expect.stringMatching(/Z$/),
      uptimeSeconds: expect.any(Number),
      version: expect.any(String),
    });
  });

  it.each(['live', 'ready', 'startup'])('answers the %s probe', async (probe) =>
    expect(await test.request('GET', `${base}/health/${probe}`)).toMatchObject({
      status: 200,
      body: { status: 'up' },
    }),
  );

  it('refuses undeclared query fields on probes', async () =>
    expect((await test.request('GET', `${base}/health?x=1`)).status).toBe(400));

  it('shows every component to viewers, and to nobody else', async () => {
    expect((await test.request('GET', `${base}/health/detailed`)).status).toBe(401);
    const user = await test.signIn('user');
    expect((await test.request('GET', `${base}/health/detailed`, { as: user.token })).status).toBe(403);
    const viewer = await test.signIn('viewer');
    const { body } = await test.request('GET', `${base}/health/detailed`, { as: viewer.token });
    const database = body.components.find(({ name }: { name: string }) => name === 'database');
    expect(database).toEqual({
      name: 'database',
      status: 'up',
      critical: true,
      latencyMs: expect.any(Number),
      checkedAt: expect.stringMatching(/Z$/),
      ageMs: expect.any(Number),
      stale: false,
      since: expect.stringMatching(/Z$/),
      consecutiveFailures: 0,
      uptime24hPercent: null,
    });
    expect(body.checks.database.name).toBe('database');
    expect(body.instance).toMatch(/^test-/);
    expect(body.metrics.at).toMatch(/Z$/);
    expect(body).toHaveProperty('activeAlerts');
    expect(body).toHaveProperty('deductions');
  });

  it("runs every check at an operator's wish, once for all who ask together", async () => {
    const operator = await test.signIn('operator');
    const ask = () => test.request('POST', `${base}/health/check`, { as: operator.token });
    const answers = await Promise.all([ask(), ask(), ask()]);
    for (const { status, body } of answers) {
      expect(status).toBe(200);
      expect(body.checks.database.ageMs).toBeLessThan(1000);
    }
    const viewer = await test.signIn('viewer');
    expect((await test.request('POST', `${base}/health/check`, { as: viewer.token })).status).toBe(403);
  });

  it('lists its routes with what they are for', async () => {
    const { body } = await admin('GET', base);
    const paths = body.items.map(({ method, path }: { method: string; path: string }) => `${method} ${path}`);
    for (const path of [
      'health',
      'health/live',
      'health/detailed',
      'uptime',
      'checks',
      'dashboard',
      'metrics/current',
      'config',
      'performance',
    ])
      expect(paths).toContain(`GET ${base}/${path}`);
    expect(paths).toContain(`PUT ${base}/checks/{id}`);
    expect(body.items.filter(({ description }: { description: string }) => !description)).toEqual([]);
  });

  it('shows the overview in one document', async () => {
    const { status, body } = await admin('GET', `${base}/dashboard`);
    expect(status).toBe(200);
    expect(Object.keys(body).sort()).toEqual([
      'checks',
      'health',
      'instances',
      'metrics',
      'routes',
      'uptime',
    ]);
  });

  it('serves the short addresses by type', async () => {
    expect((await test.request('GET', '/api/health')).body.score).toEqual(expect.any(Number));
    expect((await test.request('GET', '/api/health?type=basic')).status).toBe(200);
    for (const type of ['detailed', 'metrics', 'alerts', 'cache'])
      expect((await test.request('GET', `/api/health?type=${type}`)).status).toBe(401);
    expect((await admin('GET', '/api/health?type=detailed')).body.components).toEqual(expect.any(Array));
    expect((await admin('GET', '/api/health?type=metrics')).body.cpu).toBeDefined();
    expect(await admin('GET', '/api/health?type=alerts')).toMatchObject({
      status: 404,
      body: { code: 'NOT_FOUND' },
    });
    expect(await admin('GET', '/api/health?type=nonsense')).toMatchObject({
      status: 400,
      body: { code: 'VALIDATION_FAILED' },
    });
    const user = await test.signIn('user');
    expect((await test.request('GET', '/api/health?type=detailed', { as: user.token })).status).toBe(403);
  });

  it('writes refusals of routes outside the API down as those inside it, and knows who called', async () => {
    const user = await test.signIn('user');
    for (const path of ['/api/health?type=metrics', '/metrics']) {
      expect((await test.request('GET', path)).status).toBe(401);
      expect((await test.request('GET', path, { as: user.token })).status).toBe(403);
      expect((await test.request('GET', path, { as: test.adminToken })).status).toBe(200);
    }
    const active = test.app.get(RequestRecorder).activeUsers();
    expect(active.map(({ id }) => id)).toContain(user.id);
    await eventually(async () => {
      const { body } = await admin('GET', '/api/v1/audit?kind=security&limit=100');
      const seen = body.items.map(
        ({ actor, action, code }: Record<string, string>) => `${actor} ${action} ${code}`,
      );
      expect(seen).toEqual(
        expect.arrayContaining([
          'null GET /api/health UNAUTHENTICATED',
          `user:${user.id} GET /api/health FORBIDDEN`,
          'null GET /metrics UNAUTHENTICATED',
          `user:${user.id} GET /metrics FORBIDDEN`,
        ]),
      );
      return true;
    }, 15_000);
  });

  it('tells the uptime of each component', async () => {
    const items = await eventually(async () => {
      const { body } = await admin('GET', `${base}/uptime?component=database`);
      return body.items.length > 0 && body.items;
    });
    expect(items).toEqual([
      {
        component: 'database',
        upMs: expect.any(Number),
        degradedMs: 0,
        downMs: 0,
        unknownMs: expect.any(Number),
        upPercent: expect.any(Number),
        incidents: 0,
        mttrMs: null,
      },
    ]);
    expect(
      (await admin('GET', `${base}/uptime?from=2026-02-01T00:00:00Z&to=2026-01-01T00:00:00Z`)).status,
    ).toBe(400);
    expect((await admin('GET', `${base}/uptime?component=nobody`)).body).toEqual({ items: [] });
  });

  describe('outside checks', () => {
    const check = { name: 'example site', kind: 'http', target: 'https://example.com/' };

    it('are made, listed, replaced and removed', async () => {
      const made = await admin('POST', `${base}/checks`, check);
      expect(made).toMatchObject({
        status: 200,
        body: { ...check, intervalMs: 60_000, timeoutMs: 5_000, degradedAboveMs: 2_000, critical: false },
      });
      expect((await admin('POST', `${base}/checks`, check)).body).toMatchObject({
        status: 409,
        code: 'CONFLICT',
      });
      expect((await admin('GET', `${base}/checks?limit=1`)).body).toMatchObject({
        items: [{ id: made.body.id }],
        nextCursor: null,
      });
      const url = `${base}/checks/${made.body.id}`;
      expect((await admin('PUT', url, { ...check, intervalMs: 5_000, critical: true })).body).toMatchObject({
        intervalMs: 5_000,
        critical: true,
      });
      expect((await admin('DELETE', url)).status).toBe(204);
      expect((await admin('DELETE', url)).status).toBe(404);
      expect((await admin('PUT', url, check)).status).toBe(404);
    });

    it.each([
      ['http', 'http://127.0.0.1:1/'],
      ['http', 'http://0x7f000001/'],
      ['http', 'http://127.1/'],
      ['http', 'http://[::1]/'],
      ['http', 'http://[::ffff:127.0.0.1]/'],
      ['http', 'http://169.254.169.254/latest/meta-data/'],
      ['http', 'http://localhost/'],
      ['http', 'file:///etc/passwd'],
      ['http', 'gopher://example.com/'],
      ['http', 'http://user:pass@example.com/'],
      ['tcp', '10.0.0.1:22'],
      ['tcp', '0177.0.0.1:22'],
      ['postgres', 'postgres://app:secret@db.example.com/'],
    ])('refuse %s %s', async (kind, target) => {
      const answer = await admin('POST', `${base}/checks`, { name: 'bad', kind, target });
      expect(answer).toMatchObject({
        status: 400,
        body: { code: 'VALIDATION_FAILED', errors: [{ path: 'target' }] },
      });
      expect(answer.text).not.toContain('secret');
    });

    it('refuse unknown fields and impossible numbers', async () => {
      for (const extra of [
        { id: 'x' },
        { intervalMs: 10 },
        { timeoutMs: 6_000 },
        { critical: 'yes' },
        { kind: 'udp' },
      ])
        expect((await admin('POST', `${base}/checks`, { ...check, ...extra })).status).toBe(400);
    });
  });
});
