import { buildApp, type TestApp } from '../support/build-app.js';

/** Requests per family of endpoints: the short form with every change, CHAOS=full for a release. */
const PER_FAMILY = process.env.CHAOS === 'full' ? 10_000 : 250;
const SEED = Number(process.env.CHAOS_SEED ?? 20_261_120);

/** mulberry32: small, seeded, so that a failure can be run again. */
function random(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

const NASTY_TEXT = [
  '',
  ' ',
  '\u0000',
  '../../etc/passwd',
  '%2e%2e%2f',
  "' OR 1=1 --",
  '$(reboot)',
  '{{7*7}}',
  '\r\nX-Injected: 1',
  '\u202e',
  '💥'.repeat(50),
  'a'.repeat(5_000),
  '-1',
  '1e400',
  'NaN',
  'null',
  'undefined',
  '[object Object]',
  '__proto__',
  '0198c0de-0000-7000-8000-000000000000',
  "'; SELECT pg_sleep(5); --",
  '9'.repeat(40),
  '2026-13-45T99:99:99Z',
];
const NASTY_VALUES: unknown[] = [
  null,
  true,
  false,
  0,
  -1,
  1.5,
  1e308,
  [],
  {},
  [[[[[]]]]],
  { $gt: '' },
  { __defineGetter__: 1 },
  ...NASTY_TEXT,
];
const RAW_BODIES = [
  '{',
  '[',
  '"',
  '{"a":}',
  '\u0000',
  '{"a":1e999}',
  '{"__proto__":{"x":1}}',
  '{"constructor":{"prototype":{"x":1}}}',
  '['.repeat(10_000),
  'null',
  '[]',
  '"text"',
  '7',
  '\ufeff{}',
];

interface Schema {
  type?: string;
  properties?: Record<string, Schema>;
  items?: Schema;
}
interface Operation {
  parameters?: { name: string; in: string }[];
  requestBody?: { content?: { 'application/json'?: { schema?: Schema } } };
}

/** They end the very credential that the others are called with. */
const LEFT_OUT = /\/auth\/(logout|logout-all|password)$/;

describe('malformed requests', () => {
  let vigia: TestApp;
  let families: Map<string, { method: string; path: string; operation: Operation }[]>;
  beforeAll(async () => {
    vigia = await buildApp();
    families = new Map();
    const { body } = await vigia.request('GET', '/api/docs-json');
    for (const [path, methods] of Object.entries(body.paths as Record<string, Record<string, Operation>>)) {
      if (LEFT_OUT.test(path)) continue;
      const family = path.split('/').slice(0, 5).join('/');
      const routes = Object.entries(methods).map(([method, operation]) => ({
        method: method.toUpperCase(),
        path,
        operation,
      }));
      families.set(family, [...(families.get(family) ?? []), ...routes]);
    }
  });
  afterAll(() => vigia.close());

  it(
    `get a problem document or a proper answer, never a 5xx, a hang or a leak (${PER_FAMILY} a family, seed ${SEED})`,
    async () => {
      const next = random(SEED);
      const pick = <T>(of: readonly T[]): T => of[Math.floor(next() * of.length)]!;
      let total = 0;
      let pastAccess = 0;
      for (const routes of families.values()) {
        for (let i = 0; i < PER_FAMILY; i++) {
          const { method, path, operation } = pick(routes);
          const request = malform(method, path, operation, next, pick);
          const answer = await vigia.request(method, request.path, {
            as: vigia.adminToken,
            ...request.options,
          });
          total += 1;
          if (answer.status !== 401 && answer.status !== 429) pastAccess += 1;
          const told = `${method} ${request.path.slice(0, 200)} ${JSON.stringify(request.options.body)?.slice(0, 200)} → ${answer.status} ${answer.text.slice(0, 300)}`;
          // The health document says 503 where a component is down: an answer, not a failure.
          if (answer.status >= 500 && !/\/health/.test(path)) throw new Error(`server error: ${told}`);
          if (answer.status >= 400 && !/json/.test(answer.headers.get('content-type') ?? ''))
            throw new Error(`not JSON: ${told}`);
          if (
            answer.status >= 400 &&
            /\bat (\/|file:)|node_modules|vigia\.[a-z_]+ |relation "|syntax error|\.js:\d/.test(answer.text)
          )
            throw new Error(`leak: ${told}`);
        }
      }
      expect(pastAccess / total).toBeGreaterThan(0.9);
      expect((await vigia.request('GET', '/api/v1/auth/me', { as: vigia.adminToken })).status).toBe(200);
    },
    60_000 + PER_FAMILY * 400,
  );
});

function malform(
  method: string,
  path: string,
  operation: Operation,
  next: () => number,
  pick: <T>(of: readonly T[]) => T,
) {
  const filled = path.replace(/\{[^}]+\}/g, () =>
    encodeURIComponent(pick(NASTY_TEXT.filter(Boolean)).slice(0, 2_000)),
  );
  const names = (operation.parameters ?? [])
    .filter((parameter) => parameter.in === 'query')
    .map(({ name }) => name);
  const query = Array.from(
    { length: Math.floor(next() * 3) },
    () =>
      `${encodeURIComponent(pick([...names, ...names, 'x', 'a[]', '__proto__']))}=${encodeURIComponent(pick(NASTY_TEXT).slice(0, 500))}`,
  );
  const raw = next() < 0.2;
  const properties = Object.keys(
    operation.requestBody?.content?.['application/json']?.schema?.properties ?? {},
  );
  const body = Object.fromEntries(
    [...properties.filter(() => next() < 0.8), ...(next() < 0.2 ? ['extra'] : [])].map((name) => [
      name,
      pick(NASTY_VALUES),
    ]),
  );
  return {
    path: filled + (query.length > 0 ? `?${query.join('&')}` : ''),
    options: method === 'GET' || method === 'HEAD' ? {} : { body: raw ? pick(RAW_BODIES) : body },
  };
}
