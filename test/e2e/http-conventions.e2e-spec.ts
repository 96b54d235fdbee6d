import { connect } from 'node:net';
import { gzipSync } from 'node:zlib';
import { buildApp, type Answer, type TestApp } from '../support/build-app.js';

const PROBLEM_KEYS = ['code', 'detail', 'requestId', 'status', 'title', 'type'];

function expectProblem(answer: Answer, status: number, code: string): void {
  expect({
    status: answer.status,
    type: answer.headers.get('content-type'),
    code: answer.body?.code,
  }).toEqual({
    status,
    type: expect.stringMatching(/^application\/problem\+json/),
    code,
  });
  expect(
    Object.keys(answer.body)
      .filter((key) => key !== 'errors')
      .sort(),
  ).toEqual(PROBLEM_KEYS);
  expect(answer.body.requestId).toBe(answer.headers.get('x-request-id'));
}

describe('HTTP conventions', () => {
  let vigia: TestApp;
  beforeAll(async () => {
    vigia = await buildApp();
  });
  afterAll(() => vigia.close());
  const call = (...args: Parameters<TestApp['request']>) => vigia.request(...args);

  describe('request ids', () => {
    it('are the caller’s when harmless, new otherwise, and on every answer', async () => {
      const given = await call('GET', '/api/v1/monitoring/health', {
        headers: { 'x-request-id': 'trace-7.A_z' },
      });
      expect(given.headers.get('x-request-id')).toBe('trace-7.A_z');
      const replaced = await call('GET', '/nowhere', { headers: { 'x-request-id': 'has spaces' } });
      expect(replaced.headers.get('x-request-id')).toMatch(/^[0-9a-f-]{36}$/);
    });
  });

  describe('failures have one shape', () => {
    it('for unknown routes', async () =>
      expectProblem(await call('GET', '/api/v1/nothing/here'), 404, 'NOT_FOUND'));
    it('for unknown methods of known paths', async () =>
      expectProblem(await call('DELETE', '/api/v1/auth/login'), 404, 'NOT_FOUND'));
    it('for malformed URIs', async () =>
      expectProblem(await call('GET', '/api/v1/%zz'), 400, 'VALIDATION_FAILED'));
    it('for malformed JSON', async () =>
      expectProblem(
        await call('POST', '/api/v1/auth/login', { body: '{"email":' }),
        400,
        'VALIDATION_FAILED',
      ));
    it('for bodies of another type', async () =>
      expectProblem(
        await call('POST', '/api/v1/auth/login', {
          body: 'a=1',
          headers: { 'content-type': 'application/x-www-form-urlencoded' },
        }),
        415,
        'UNSUPPORTED_MEDIA_TYPE',
      ));
    it('for compressed bodies, which could inflate without bound', async () => {
      const response = await fetch(`${vigia.url}/api/v1/auth/login`, {
        method: 'POST',
        body: gzipSync('{}'),
        headers: { 'content-type': 'application/json', 'content-encoding': 'gzip' },
      });
      expect(response.status).toBe(415);
    });
    it('for bodies over 1 MiB', async () =>
      expectProblem(
        await call('POST', '/api/v1/auth/login', { body: `{"email":"${'x'.repeat(1_048_576)}"}` }),
        413,
        'PAYLOAD_TOO_LARGE',
      ));
    it('for bytes that are not HTTP', async () => {
      const answer = await rawRequest(vigia.url, 'NOT HTTP AT ALL\r\n\r\n');
      expect(answer).toMatch(/^HTTP\/1\.1 400 /);
      expect(answer).toContain('application/problem+json');
      expect(answer).toContain('"code":"VALIDATION_FAILED"');
    });
    it('for headers beyond the limit', async () => {
      const answer = await rawRequest(
        vigia.url,
        `GET / HTTP/1.1\r\nHost: x\r\nX-Big: ${'a'.repeat(20_000)}\r\n\r\n`,
      );
      expect(answer).toMatch(/^HTTP\/1\.1 431 /);
    });
    it('for TRACE, which is not answered with what was sent', async () => {
      expect(
        await rawRequest(
          vigia.url,
          'TRACE / HTTP/1.1\r\nHost: x\r\nX-Secret: s\r\nConnection: close\r\n\r\n',
        ),
      ).not.toMatch(/^HTTP\/1\.1 2/);
    });
  });

  describe('credentials come first', () => {
    it('401 before the body is looked at, however malformed or large', async () => {
      expectProblem(await call('POST', '/api/v1/users', { body: '{"broken' }), 401, 'UNAUTHENTICATED');
      expectProblem(
        await call('POST', '/api/v1/users', { body: `"${'x'.repeat(2_000_000)}"` }),
        401,
        'UNAUTHENTICATED',
      );
    });
    it('403 before the body is looked at', async () => {
      const user = await vigia.signIn('user');
      expectProblem(
        await call('POST', '/api/v1/users', { as: user.token, body: '{"broken' }),
        403,
        'FORBIDDEN',
      );
    });
    it('a 401 says which scheme', async () => {
      expect((await call('GET', '/api/v1/users')).headers.get('www-authenticate')).toBe('Bearer');
    });
  });

  describe('input is strict', () => {
    it.each([
      '?limit=0',
      '?limit=1001',
      '?limit=ten',
      '?limit=1.5',
      '?limit=1&limit=2',
      '?limit[]=1',
      '?limit[$gt]=1',
      '?unknown=1',
      '?cursor=forged',
      '?__proto__[a]=1',
      '?constructor=1',
    ])('refuses %s on a list', async (query) =>
      expectProblem(
        await call('GET', `/api/v1/users${query}`, { as: vigia.adminToken }),
        400,
        'VALIDATION_FAILED',
      ),
    );
    it('names each fault by its path', async () => {
      const answer = await call('POST', '/api/v1/users', {
        as: vigia.adminToken,
        body: { email: 7, role: 'god', id: 'mine' },
      });
      expectProblem(answer, 400, 'VALIDATION_FAILED');
      expect(answer.body.errors.map((fault: { path: string }) => fault.path)).toEqual(
        expect.arrayContaining(['email', 'role', 'id', 'name', 'password']),
      );
    });
    it('refuses every field where a route declares none', async () => {
      expectProblem(
        await call('GET', '/api/v1/auth/me?x=1', { as: vigia.adminToken }),
        400,
        'VALIDATION_FAILED',
      );
      const { token } = await vigia.signIn('user');
      expectProblem(
        await call('POST', '/api/v1/auth/logout', { as: token, body: { all: true } }),
        400,
        'VALIDATION_FAILED',
      );
    });
    it('refuses a body on GET, which would pass unseen otherwise', async () => {
      const { hostname, port } = new URL(vigia.url);
      const head = `GET /api/v1/auth/me HTTP/1.1\r\nHost: ${hostname}:${port}\r\nAuthorization: Bearer ${vigia.adminToken}\r\n`;
      const answer = await rawRequest(
        vigia.url,
        `${head}Content-Type: application/json\r\nContent-Length: 7\r\n\r\n{"a":1}`,
      );
      expect(answer).toMatch(/^HTTP\/1\.1 400 /);
    });
    it('names a field of any length in an answer of bounded length', async () => {
      const answer = await call('POST', '/api/v1/auth/login', { body: { ['x'.repeat(500_000)]: 1 } });
      expect(answer.status).toBe(400);
      expect(answer.text.length).toBeLessThan(5_000);
    });
    it('refuses __proto__ in a body and answers the next caller as before', async () => {
      expectProblem(
        await call('POST', '/api/v1/auth/login', { body: '{"__proto__":{"role":"admin"}}' }),
        400,
        'VALIDATION_FAILED',
      );
      expect(({} as { role?: string }).role).toBeUndefined();
    });
    it('takes an absent body for an empty one, whatever its content type says', async () => {
      const { token } = await vigia.signIn('user');
      const answer = await call('POST', '/api/v1/auth/logout', {
        as: token,
        headers: { 'content-type': 'application/json' },
      });
      expect(answer.status).toBe(204);
    });
  });

  describe('lists', () => {
    it('lead through all items by cursor, each once', async () => {
      for (let i = 0; i < 5; i++) await vigia.signIn('viewer');
      const seen: string[] = [];
      let cursor: string | null = null;
      do {
        const page: Answer = await call('GET', `/api/v1/users?limit=2${cursor ? `&cursor=${cursor}` : ''}`, {
          as: vigia.adminToken,
        });
        expect(page.status).toBe(200);
        expect(page.body.items.length).toBeLessThanOrEqual(2);
        seen.push(...page.body.items.map((user: { id: string }) => user.id));
        cursor = page.body.nextCursor;
      } while (cursor);
      expect(new Set(seen).size).toBe(seen.length);
      expect(seen.length).toBeGreaterThanOrEqual(6);
    });
  });

  describe('security headers', () => {
    it('are on every answer, errors included', async () => {
      for (const path of ['/api/v1/monitoring/health', '/nowhere', '/api/v1/%zz']) {
        const { headers } = await call('GET', path);
        expect(headers.get('x-content-type-options')).toBe('nosniff');
        expect(headers.get('content-security-policy')).toContain("frame-ancestors 'none'");
        expect(headers.get('x-frame-options')).toBe('DENY');
        expect(headers.get('x-powered-by')).toBeNull();
      }
    });
    it('let no foreign origin read answers', async () => {
      const { headers } = await call('GET', '/api/v1/monitoring/health', {
        headers: { origin: 'https://evil.example' },
      });
      expect(headers.get('access-control-allow-origin')).toBeNull();
    });
  });

  describe('forwarded addresses', () => {
    it('are ignored from a caller that is no trusted proxy', async () => {
      await call('GET', '/api/v1/users', { headers: { 'x-forwarded-for': '203.0.113.9' } });
      const audit = await call('GET', '/api/v1/audit?kind=security&limit=50', { as: vigia.adminToken });
      expect(audit.text).not.toContain('203.0.113.9');
    });
  });
});

describe('CORS', () => {
  it('lets exactly the listed origins in', async () => {
    const vigia = await buildApp({ CORS_ORIGINS: 'https://ops.example.com' });
    const allowed = await vigia.request('GET', '/api/v1/monitoring/health', {
      headers: { origin: 'https://ops.example.com' },
    });
    const foreign = await vigia.request('GET', '/api/v1/monitoring/health', {
      headers: { origin: 'https://evil.example' },
    });
    expect(allowed.headers.get('access-control-allow-origin')).toBe('https://ops.example.com');
    expect(foreign.headers.get('access-control-allow-origin')).not.toBe('https://evil.example');
    await vigia.close();
  });
});

function rawRequest(url: string, bytes: string): Promise<string> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve, reject) => {
    const socket = connect(Number(port), hostname, () => socket.write(bytes));
    let answer = '';
    socket.on('data', (chunk) => {
      answer += chunk.toString();
      if (answer.includes('\r\n\r\n')) setImmediate(() => socket.destroy());
    });
    socket.on('close', () => resolve(answer));
    socket.on('error', reject);
  });
}
