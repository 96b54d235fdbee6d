import { v7 as uuidv7 } from 'uuid';
import { Logger } from '@nestjs/common';
import { Leases, type Shutdown } from '../../src/core/index.js';
import { Instance } from '../../src/core/core.options.js';
import {
  ComponentHistory,
  CONFIRM_EVERY_MS,
  MAX_WAITING_INTERVALS,
} from '../../src/modules/monitoring/health/component-history.js';
import {
  ComponentStatusStore,
  MAX_ROWS_PER_COMPONENT,
} from '../../src/modules/monitoring/health/stores/component-status.store.js';
import { MAX_INTERVALS_READ } from '../../src/modules/monitoring/health/stores/component-status.store.js';
import { UptimeService } from '../../src/modules/monitoring/health/uptime.service.js';
import { uptimeOf } from '../../src/modules/monitoring/health/uptime.js';
import { FakeClock } from '../support/fake-clock.js';
import { openTestDatabase } from '../support/test-database.js';

const MINUTE_MS = 60_000;

describe('the history of components', () => {
  let db: Awaited<ReturnType<typeof openTestDatabase>>;
  let store: ComponentStatusStore;
  let leases: Leases;
  beforeAll(async () => {
    db = await openTestDatabase();
    leases = new Leases(db.database);
    store = new ComponentStatusStore(db.database, leases);
  });
  afterAll(() => db.close());

  /** A process that watches a component of its own name, checked once a minute, since the fake clock's start. */
  function setUp(instance = 'a', clock = new FakeClock()) {
    const component = `part-${uuidv7()}`;
    return { clock, component, startMs: clock.now(), ...watcher(instance, clock, component) };
  }
  function watcher(instance: string, clock: FakeClock, component: string) {
    const history = new ComponentHistory(store, clock, new Instance(instance, 'boot', clock.now()));
    let status: 'up' | 'down' = 'up';
    const minute = async (next: 'up' | 'down' = status, sinceMs = clock.now()) => {
      status = next;
      history.see({ component, status, sinceMs, atMs: clock.now(), freshForMs: 2 * MINUTE_MS + 1_000 });
      await history.flush(db.database, 'own');
      clock.advance(MINUTE_MS);
    };
    return { history, minute };
  }
  async function uptime(component: string, fromMs: number, toMs: number) {
    const stored = (await store.read(fromMs, toMs, component)).get(component);
    return uptimeOf(component, stored?.intervals ?? [], {
      fromMs,
      toMs,
      firstSeenMs: stored?.firstSeenMs ?? fromMs,
    });
  }

  it('takes the time after a kill for unknown, from the last confirmation to the first check of the next start', async () => {
    const { clock, component, startMs, minute } = setUp();
    for (let i = 0; i < 5; i++) await minute();
    clock.advance(10 * MINUTE_MS); // kill -9: nothing is closed, nobody watches
    const next = watcher('a', clock, component);
    await next.history.begin();
    for (let i = 0; i < 5; i++) await next.minute();
    clock.advance(-MINUTE_MS);
    // 4 minutes up to the last confirmation before the kill, 11 unwatched, 4 after it.
    expect(await uptime(component, 0, clock.now())).toMatchObject({
      upMs: 8 * MINUTE_MS,
      unknownMs: 11 * MINUTE_MS,
      downMs: 0,
    });
    expect((await uptime(component, 0, clock.now())).upPercent).toBeCloseTo((8 / 19) * 100);
    expect(startMs).toBeLessThan(clock.now());
  });

  it('ends where it was confirmed last when the machine was suspended or its clock was set', async () => {
    for (const disturb of [
      (clock: FakeClock) => clock.advance(60 * MINUTE_MS),
      (clock: FakeClock) => clock.jump(60 * MINUTE_MS),
    ]) {
      const { clock, component, minute } = setUp();
      for (let i = 0; i < 3; i++) await minute();
      disturb(clock);
      for (let i = 0; i < 3; i++) await minute();
      clock.advance(-MINUTE_MS);
      expect(await uptime(component, 0, clock.now())).toMatchObject({
        upMs: 4 * MINUTE_MS,
        unknownMs: 61 * MINUTE_MS,
      });
    }
  });

  it('dates an outage back to its first failure', async () => {
    const { clock, component, minute } = setUp();
    for (let i = 0; i < 3; i++) await minute();
    await minute('down', clock.now() - 20_000);
    await minute('up');
    await minute('up');
    clock.advance(-MINUTE_MS);
    expect(await uptime(component, 0, clock.now())).toMatchObject({
      downMs: MINUTE_MS + 20_000,
      incidents: 1,
      mttrMs: MINUTE_MS + 20_000,
      unknownMs: 0,
    });
  });

  it('writes what happened while the database was away, when it is back', async () => {
    const { clock, component, history } = setUp();
    const see = (status: 'up' | 'down') =>
      history.see({ component, status, sinceMs: clock.now(), atMs: clock.now(), freshForMs: 5 * MINUTE_MS });
    for (const status of ['up', 'down', 'up', 'up'] as const) {
      see(status);
      clock.advance(MINUTE_MS);
    }
    await expect(history.flush({ query: fail, execute: fail }, 'own')).rejects.toThrow('away');
    await history.flush(db.database, 'own');
    await history.flush(db.database, 'own');
    clock.advance(-MINUTE_MS);
    expect(await uptime(component, 0, clock.now())).toMatchObject({
      upMs: 2 * MINUTE_MS,
      downMs: MINUTE_MS,
      unknownMs: 0,
    });
  });
  const fail = () => Promise.reject(new Error('away'));

  it('keeps a bounded number of intervals for a database that stays away, and says what it forgets', async () => {
    const warnings = jest.spyOn(Logger.prototype, 'warn').mockImplementation(() => undefined);
    const { clock, component, history } = setUp();
    for (let i = 0; i < MAX_WAITING_INTERVALS + 11; i++) {
      history.see({
        component,
        status: i % 2 ? 'down' : 'up',
        sinceMs: clock.now(),
        atMs: clock.now(),
        freshForMs: MINUTE_MS,
      });
      clock.advance(1_000);
    }
    expect(history.forgotten).toBe(10);
    await history.flush(db.database, 'own');
    expect(warnings.mock.calls.map(String)).toEqual([
      expect.stringContaining('the oldest become unknown'),
      '10 status changes were forgotten while the database was away',
    ]);
    warnings.mockRestore();
  });

  it('confirms an unchanged component at most every 30 s', async () => {
    const { clock, component, history } = setUp();
    let writes = 0;
    const tx = {
      query: db.database.query.bind(db.database),
      execute: async (...args: Parameters<typeof db.database.execute>) => (
        (writes += 1),
        db.database.execute(...args)
      ),
    } as never;
    for (let second = 0; second < 60; second++) {
      history.see({
        component,
        status: 'up',
        sinceMs: clock.now(),
        atMs: clock.now(),
        freshForMs: MINUTE_MS,
      });
      await history.flush(tx, 'own');
      clock.advance(1_000);
    }
    expect(writes).toBe(60_000 / CONFIRM_EVERY_MS);
  });

  it('says the same in SQL', async () => {
    const now = (await db.database.query<{ now: Date }>('SELECT clock_timestamp() AS now'))[0]!.now.getTime();
    const component = `view-${uuidv7()}`;
    const row = (
      instance: string | null,
      status: 'up' | 'down' | 'degraded',
      fromMinute: number,
      toMinute: number | null,
    ) => ({
      id: uuidv7(),
      component,
      instance,
      status,
      startedAtMs: now - fromMinute * MINUTE_MS,
      confirmedAtMs: now - (toMinute ?? 0) * MINUTE_MS,
      endedAtMs: toMinute === null ? null : now - toMinute * MINUTE_MS,
      graceMs: MINUTE_MS,
    });
    await store.save(db.database, [
      row('a', 'up', 600, 300),
      row('a', 'down', 300, 200),
      row('b', 'up', 400, 250),
      row('b', 'down', 250, 180),
      row('b', 'degraded', 60, null),
    ]);
    const [view] = await db.database.query<{
      up_ms: string;
      degraded_ms: string;
      down_ms: string;
      unknown_ms: string;
      up_percent: number;
    }>('SELECT * FROM vigia.v_component_uptime_24h WHERE component = $1', [component]);
    const own = await uptime(component, now - 24 * 60 * MINUTE_MS, now);
    // up 600–300, disagreeing 300–250, down 250–180 (a is not watching after 200), unknown 180–60, degraded 60–0
    expect(own).toMatchObject({
      upMs: 300 * MINUTE_MS,
      degradedMs: 110 * MINUTE_MS,
      downMs: 70 * MINUTE_MS,
      unknownMs: 120 * MINUTE_MS,
      incidents: 1,
    });
    for (const [column, ms] of [
      ['up_ms', own.upMs],
      ['degraded_ms', own.degradedMs],
      ['down_ms', own.downMs],
      ['unknown_ms', own.unknownMs],
    ] as const)
      expect(Math.abs(Number(view![column]) - ms)).toBeLessThan(5_000);
    expect(view!.up_percent).toBeCloseTo(own.upPercent!, 0);
  });

  it('starts and answers the last day although there is too much of it, and says so once', async () => {
    const [row] = await db.database.query<{ now: Date }>('SELECT clock_timestamp() AS now');
    const clock = new FakeClock();
    clock.jump(row!.now.getTime() - clock.now());
    const stops: (() => unknown)[] = [];
    const shutdown = { register: (...[, , stop]: Parameters<Shutdown['register']>) => void stops.push(stop) };
    const warnings = jest.spyOn(Logger.prototype, 'warn').mockImplementation(() => undefined);
    const uptimes = new UptimeService(store, clock, shutdown as unknown as Shutdown);
    const flapping = `flapping-${uuidv7()}`;
    await db.database.execute(
      `INSERT INTO vigia.component_status (id, component, instance, status, started_at, confirmed_at, ended_at, grace_ms)
       SELECT gen_random_uuid(), $1, 'a', 'up', at, at, at + interval '1 millisecond', 1000
       FROM (SELECT clock_timestamp() - n * interval '500 milliseconds' - interval '1 hour' AS at FROM generate_series(1, $2::int) n) s`,
      [flapping, MAX_INTERVALS_READ + 1],
    );
    try {
      await uptimes.onApplicationBootstrap();
      expect(await uptimes.readLastDay()).toEqual([]);
      const said = warnings.mock.calls.map(String).filter((text) => text.startsWith('uptimes'));
      expect(said).toEqual([expect.stringContaining('too many status changes')]);
      await db.database.execute(
        `DELETE FROM vigia.component_status WHERE component = $1 AND started_at < now() - interval '2 hours'`,
        [flapping],
      );
      expect(await uptimes.readLastDay()).not.toEqual([]);
    } finally {
      warnings.mockRestore();
      for (const stop of stops) await stop();
      await db.database.execute('DELETE FROM vigia.component_status WHERE component = $1', [flapping]);
    }
  });

  it('keeps the newest rows of a component that flaps, and nothing beyond two years', async () => {
    const component = `flap-${uuidv7()}`;
    await db.database.execute(
      `INSERT INTO vigia.component_status (id, component, instance, status, started_at, confirmed_at, ended_at, grace_ms)
       SELECT gen_random_uuid(), $1, 'a', 'up', at, at, at, 1000 FROM (SELECT clock_timestamp() - n * interval '1 second' AS at FROM generate_series(1, $2::int) n) s
       UNION ALL SELECT gen_random_uuid(), 'old', 'a', 'up', t, t, t, 1000 FROM (SELECT clock_timestamp() - interval '3 years' AS t) o`,
      [component, MAX_ROWS_PER_COMPONENT + 25],
    );
    const lease = (await leases.acquire('prune-test', 'a'))!;
    expect(await store.prune(lease)).toBe(26);
    const [left] = await db.database.query<{ n: string }>(
      'SELECT count(*) AS n FROM vigia.component_status WHERE component = $1',
      [component],
    );
    expect(Number(left!.n)).toBe(MAX_ROWS_PER_COMPONENT);
  });
});
