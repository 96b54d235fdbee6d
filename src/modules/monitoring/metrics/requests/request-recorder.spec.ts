import { FakeClock } from '../../../../../test/support/fake-clock.js';
import { MAX_ACTIVE_USERS } from './active-users.js';
import {
  IDLE_EVICTION_MS,
  MAX_SERIES,
  OVERFLOW_ROUTE,
  RequestRecorder,
  TRACKED_ROUTE,
} from './request-recorder.js';
import { MAX_ROUTES_PER_MINUTE, toRouteMinutes } from './route-minutes.js';

function setUp() {
  const clock = new FakeClock();
  const recorder = new RequestRecorder(clock);
  const call = (route: string, { status = 200, ms = 5, method = 'GET' } = {}) =>
    recorder.record(recorder.endpoint(method, route), status, ms, clock.monotonicMs());
  const routes = () => recorder.drain().map(({ endpoint }) => endpoint.route);
  const callMany = (count: number, prefix: string) => {
    for (let i = 0; i < count; i++) call(`/${prefix}/${i}`);
  };
  return { clock, recorder, call, callMany, routes };
}

describe(RequestRecorder.name, () => {
  it('counts by method and route, with errors of the server and of clients apart', async () => {
    const { recorder, call } = setUp();
    for (const status of [200, 204, 301, 404, 429, 500, 503])
      call('/orders/:id', { status, ms: status === 500 ? 90 : 10 });
    call('/orders/:id', { method: 'DELETE' });
    const [row, other] = await toRouteMinutes(recorder.drain());
    expect(row).toMatchObject({
      method: 'GET',
      route: '/orders/:id',
      requests: 7,
      serverErrors: 2,
      clientErrors: 2,
    });
    expect(row).toMatchObject({ sumMs: 150, maxMs: 90, aborted: 0 });
    expect(other).toMatchObject({ method: 'DELETE', requests: 1 });
  });

  it('hands each request out once, and routes without traffic not at all', () => {
    const { call, routes } = setUp();
    call('/a');
    call('/b');
    expect(routes()).toEqual(['/a', '/b']);
    call('/b');
    expect(routes()).toEqual(['/b']);
    expect(routes()).toEqual([]);
  });

  it('keeps aborted requests out of latencies and of errors', () => {
    const { clock, recorder, call } = setUp();
    call('/slow', { ms: 10 });
    recorder.recordAborted(recorder.endpoint('GET', '/slow'), clock.monotonicMs());
    const counts = recorder.drain()[0]!.counts;
    expect([counts.requests, counts.aborted, counts.latencies.toHdr().totalCount]).toEqual([1, 1, 1]);
    expect(recorder.summary()).toMatchObject({ requests: 1, p99Ms: expect.closeTo(10, 0) as number });
  });

  it('counts routes beyond the cap together and visibly', () => {
    const { recorder, callMany, routes } = setUp();
    callMany(MAX_SERIES + 7, 'r');
    expect(recorder.overflowed).toBe(7);
    expect(recorder.total).toBe(MAX_SERIES + 7);
    expect(recorder.allSeries()).toHaveLength(MAX_SERIES + 1);
    expect(routes()).toContain(OVERFLOW_ROUTE);
  });

  it('lets a new route have the place of an idle one, instead of hiding it until a restart', () => {
    const { clock, recorder, call, callMany, routes } = setUp();
    callMany(MAX_SERIES, 'old');
    routes();
    clock.advance(IDLE_EVICTION_MS);
    callMany(MAX_SERIES - 1, 'old'); // all but the last are still in use
    call('/new');
    expect(routes()).toContain(OVERFLOW_ROUTE); // makes place for the next minute
    call('/new');
    call('/old/0');
    clock.advance(1);
    expect(routes()).toEqual(['/old/0', '/new']);
    call(`/old/${MAX_SERIES - 1}`);
    expect(recorder.overflowed).toBe(2);
  });

  it('takes no place from routes that are in use', () => {
    const { clock, call, callMany, routes } = setUp();
    callMany(MAX_SERIES, 'busy');
    clock.advance(IDLE_EVICTION_MS - 1);
    routes();
    call('/new');
    expect(routes()).toEqual([OVERFLOW_ROUTE]);
  });

  it('counts work that the program times itself', () => {
    const { recorder, routes } = setUp();
    recorder.trackRequest(12, false);
    recorder.trackRequest(30, true);
    expect(recorder.summary()).toMatchObject({ requests: 2, serverErrors: 1, avgMs: 21 });
    expect(routes()).toEqual([TRACKED_ROUTE]);
    expect(() => recorder.trackRequest(NaN, false)).toThrow(RangeError);
    expect(() => recorder.trackRequest(-1, false)).toThrow(RangeError);
  });
});

describe('rows of one minute', () => {
  it('are at most 100, the busiest, and one that holds the rest', async () => {
    const { recorder, callMany } = setUp();
    callMany(MAX_ROUTES_PER_MINUTE + 20, 'r');
    callMany(MAX_ROUTES_PER_MINUTE, 'r');
    const rows = await toRouteMinutes(recorder.drain());
    expect(rows).toHaveLength(MAX_ROUTES_PER_MINUTE + 1);
    expect(rows.at(-1)).toMatchObject({ method: '*', route: OVERFLOW_ROUTE, requests: 20 });
    expect(rows.reduce((sum, row) => sum + row.requests, 0)).toBe(MAX_ROUTES_PER_MINUTE * 2 + 20);
  });
});

describe('the last minute of all routes', () => {
  it('says nothing about latencies and errors without a request, but that there were none', () => {
    const { clock, recorder } = setUp();
    clock.advance(30_000);
    expect(recorder.summary()).toEqual({
      ...{ requests: 0, serverErrors: 0, clientErrors: 0, windowMs: 30_000 },
      ...{ avgMs: null, p95Ms: null, p99Ms: null },
    });
  });

  it('forgets what is older than 70 s, and nothing younger than 60', () => {
    const { clock, recorder, call } = setUp();
    clock.advance(1_000_000);
    call('/', { ms: 500 });
    clock.advance(59_999);
    expect(recorder.summary().requests).toBe(1);
    clock.advance(10_001);
    expect(recorder.summary().requests).toBe(0);
  });

  it('does not mix in the minute of an hour ago that used the same slices', () => {
    const { clock, recorder, call } = setUp();
    for (let slice = 0; slice < 7; slice++) {
      call('/', { ms: 900 });
      clock.advance(10_000);
    }
    clock.advance(3_600_000);
    call('/', { ms: 10 });
    expect(recorder.summary()).toMatchObject({ requests: 1, avgMs: 10 });
  });

  it('knows the true p99 over slices of very different load: it is no mean of their p99s', () => {
    const { clock, recorder, call } = setUp();
    for (let i = 0; i < 9_000; i++) call('/', { ms: 10 });
    clock.advance(20_000);
    for (let i = 0; i < 1_000; i++) call('/', { ms: i < 900 ? 1_000 : 3_000 });
    const { p95Ms, p99Ms } = recorder.summary();
    expect(p95Ms).toBeCloseTo(1_000, -1.5);
    expect(p99Ms).toBeCloseTo(1_000, -1.5);
  });
});

describe('active users', () => {
  it('are those seen in the last five minutes, each once', () => {
    const { clock, recorder } = setUp();
    recorder.seeUser('ann', clock.monotonicMs());
    recorder.seeUser('bob', clock.monotonicMs());
    clock.advance(200_000);
    recorder.seeUser('ann', clock.monotonicMs());
    clock.advance(200_000);
    expect(recorder.activeUsers().map(({ id }) => id)).toEqual(['ann']);
  });

  it('are bounded: the ones seen longest ago are forgotten first', () => {
    const { clock, recorder } = setUp();
    for (let i = 0; i <= MAX_ACTIVE_USERS; i++) recorder.seeUser(`u${i}`, clock.monotonicMs());
    const ids = recorder.activeUsers().map(({ id }) => id);
    expect(ids).toHaveLength(MAX_ACTIVE_USERS);
    expect(ids[0]).toBe('u1');
  });
});
