import { LeaseLostError } from '../../src/core/leases/leases.js';
import { floorTo } from '../../src/modules/monitoring/metrics/history/plan.js';
import {
  MAX_BUSINESS_SERIES,
  MAX_SYSTEM_SERIES,
} from '../../src/modules/monitoring/metrics/stores/series-dictionary.js';
import {
  DAY_MS,
  HOUR_MS,
  MINUTE_MS,
  metricsStorageOn,
  openMetricsStorage,
  routeMinute,
  tick,
} from '../support/metrics-storage.js';

type Storage = Awaited<ReturnType<typeof openMetricsStorage>>;
type Points = { atMs: number; min: number; avg: number; max: number; count: number }[];

describe('metrics over time', () => {
  let storage: Storage;
  beforeEach(async () => {
    storage = await openMetricsStorage();
  });
  afterEach(() => storage.close());

  /** Points of one metric in a range before now, at steps of `stepMs`. */
  async function points(name: string, rangeMs: number, stepMs: number, instance?: string): Promise<Points> {
    const nowMs = storage.clock.now();
    const answer = await storage.history.read({
      ...{ names: [name], from: new Date(nowMs - rangeMs), to: new Date(nowMs) },
      ...{ points: Math.max(2, Math.ceil(rangeMs / stepMs)), instance },
    });
    expect(answer.stepMs).toBe(stepMs);
    return (answer.series[0]?.points ?? []) as Points;
  }

  const minutes = () =>
    storage.database.query<{
      bucket: Date;
      instance: string;
      ticks: number;
      mins: number[];
      avgs: number[];
      maxs: number[];
      counts: number[];
    }>('SELECT * FROM vigia.metric_minutes ORDER BY bucket, instance');
  const hours = () =>
    storage.database.query<{ bucket: Date; ticks: number; mins: number[] }>(
      'SELECT * FROM vigia.metric_hours ORDER BY bucket',
    );
  const queued = () =>
    storage.database.query<{ kind: string }>('SELECT kind FROM vigia.metric_rollup_queue ORDER BY kind');

  it('shows a tick at once, and the same after its roll-up', async () => {
    const t0 = storage.clock.now();
    await storage.sink.store(tick(t0, { 'cpu.usage_percent': 10 }));
    await storage.sink.store(tick(t0 + 15_000, { 'cpu.usage_percent': 20 }));
    storage.clock.advance(5 * MINUTE_MS);
    const expected = [{ atMs: t0, min: 10, avg: 15, max: 20, count: 2 }];
    expect(await points('cpu.usage_percent', HOUR_MS, MINUTE_MS)).toEqual(expected);
    await storage.roll();
    expect(await minutes()).toHaveLength(1);
    expect(await points('cpu.usage_percent', HOUR_MS, MINUTE_MS)).toEqual(expected);
  });

  it('leaves a gap where nothing was stored, in every tier', async () => {
    const t0 = storage.clock.now();
    for (const at of [t0, t0 + 10 * MINUTE_MS])
      await storage.sink.store(tick(at, { 'cpu.usage_percent': 50 }));
    storage.clock.advance(20 * MINUTE_MS);
    await storage.roll();
    expect((await points('cpu.usage_percent', 30 * MINUTE_MS, 15_000)).map(({ atMs }) => atMs)).toEqual([
      t0,
      t0 + 10 * MINUTE_MS,
    ]);
    expect((await points('cpu.usage_percent', 30 * MINUTE_MS, MINUTE_MS)).map(({ atMs }) => atMs)).toEqual([
      t0,
      t0 + 10 * MINUTE_MS,
    ]);
  });

  it('has no sample where a value could not be read, beside those that could', async () => {
    const t0 = storage.clock.now();
    await storage.sink.store(tick(t0, { 'cpu.usage_percent': 1, 'memory.used_bytes': 2 }));
    await storage.sink.store(tick(t0 + MINUTE_MS, { 'memory.used_bytes': 3 }));
    await storage.sink.store(
      tick(t0 + 2 * MINUTE_MS, { 'cpu.usage_percent': Number.NaN, 'memory.used_bytes': 4 }),
    );
    storage.clock.advance(10 * MINUTE_MS);
    await storage.roll();
    expect((await points('cpu.usage_percent', HOUR_MS, MINUTE_MS)).map(({ avg }) => avg)).toEqual([1]);
    expect((await points('memory.used_bytes', HOUR_MS, MINUTE_MS)).map(({ avg }) => avg)).toEqual([2, 3, 4]);
  });

  it('merges two boots of an instance within one minute', async () => {
    const t0 = storage.clock.now();
    await storage.sink.store(tick(t0, { 'cpu.usage_percent': 10 }, { bootId: 'one' }));
    await storage.sink.store(tick(t0 + 15_000, { 'cpu.usage_percent': 20 }, { bootId: 'one' }));
    // The process was killed and came back; its second boot fills the rest of the minute.
    const reborn = metricsStorageOn(storage.database);
    await reborn.sink.store(tick(t0 + 45_000, { 'cpu.usage_percent': 90 }, { bootId: 'two' }));
    storage.clock.advance(5 * MINUTE_MS);
    await storage.roll();
    expect(await points('cpu.usage_percent', HOUR_MS, MINUTE_MS)).toEqual([
      { atMs: t0, min: 10, avg: 40, max: 90, count: 3 },
    ]);
  });

  it('opens a minute again for a tick that an outage held back', async () => {
    const t0 = storage.clock.now();
    await storage.sink.store(tick(t0, { 'cpu.usage_percent': 10 }));
    storage.clock.advance(3 * HOUR_MS);
    await storage.roll();
    await storage.sink.store(tick(t0 + 30_000, { 'cpu.usage_percent': 30 }));
    const late = [{ atMs: t0, min: 10, avg: 20, max: 30, count: 2 }];
    expect(await points('cpu.usage_percent', 4 * HOUR_MS, HOUR_MS)).toEqual(late);
    await storage.roll();
    expect(await queued()).toEqual([]);
    expect(await points('cpu.usage_percent', 4 * HOUR_MS, MINUTE_MS)).toEqual(late);
    expect(await points('cpu.usage_percent', 4 * HOUR_MS, HOUR_MS)).toEqual(late);
  });

  it('gives the same rows when it runs twice, and counts a repeated tick once', async () => {
    const t0 = storage.clock.now();
    for (let i = 0; i < 8; i++) await storage.sink.store(tick(t0 + i * 15_000, { 'cpu.usage_percent': i }));
    storage.clock.advance(2 * HOUR_MS);
    await storage.roll();
    const before = [await minutes(), await hours()];
    expect(before.map((rows) => rows.length)).toEqual([2, 1]);
    await storage.sink.store(tick(t0, { 'cpu.usage_percent': 99 }));
    expect(await storage.roll()).toBeGreaterThan(0);
    expect([await minutes(), await hours()]).toEqual(before);
  });

  it('keeps what a clock set back repeats, and the mark that says so', async () => {
    const t0 = storage.clock.now();
    const repeated = tick(
      t0,
      { 'cpu.usage_percent': 30 },
      { sequence: 9, marks: { lateMs: 0, clockJumpMs: -3_600_000 } },
    );
    await storage.sink.store(tick(t0, { 'cpu.usage_percent': 10 }, { sequence: 8 }));
    for (let i = 0; i < 2; i++) await storage.sink.store(repeated);
    storage.clock.advance(5 * MINUTE_MS);
    const both = [{ atMs: t0, min: 10, avg: 20, max: 30, count: 2 }];
    expect(await points('cpu.usage_percent', HOUR_MS, MINUTE_MS)).toEqual(both);
    await storage.roll();
    expect(await points('cpu.usage_percent', HOUR_MS, MINUTE_MS)).toEqual(both);
    expect(
      await storage.database.query('SELECT clock_jump_ms FROM vigia.system_metrics ORDER BY sequence'),
    ).toEqual([{ clock_jump_ms: 0 }, { clock_jump_ms: -3_600_000 }]);
  });

  it('loses nothing when it dies between taking a bucket and writing it', async () => {
    const t0 = storage.clock.now();
    await storage.sink.store(tick(t0, { 'cpu.usage_percent': 10 }));
    storage.clock.advance(2 * HOUR_MS);
    await storage.database.execute(
      'ALTER TABLE vigia.metric_minutes ADD CONSTRAINT broken CHECK (ticks < 0)',
    );
    await expect(storage.roll()).rejects.toThrow(/broken/);
    expect(await queued()).toEqual([{ kind: 'minute' }]);
    await storage.database.execute('ALTER TABLE vigia.metric_minutes DROP CONSTRAINT broken');
    await storage.roll();
    expect(await hours()).toHaveLength(1);
    expect(await queued()).toEqual([]);
  });

  it('sees a tick that is being stored while its minute is rolled up', async () => {
    const t0 = storage.clock.now();
    await storage.sink.store(tick(t0, { 'cpu.usage_percent': 10 }));
    storage.clock.advance(HOUR_MS);
    let rolling: Promise<number> | undefined;
    await storage.database.transaction(async (tx) => {
      const behindTheRoller = metricsStorageOn(
        Object.assign(Object.create(storage.database) as typeof storage.database, {
          execute: tx.execute.bind(tx),
        }),
      );
      await behindTheRoller.sink.store(tick(t0 + 15_000, { 'cpu.usage_percent': 30 }));
      rolling = storage.roll();
      await untilSomebodyWaits(storage);
    });
    await rolling;
    await storage.roll();
    expect((await minutes()).map(({ ticks }) => ticks)).toEqual([2]);
  });

  it('stops a roller whose lease has passed on, before it changes anything', async () => {
    const t0 = storage.clock.now();
    await storage.sink.store(tick(t0, { 'cpu.usage_percent': 10 }));
    storage.clock.advance(HOUR_MS);
    const stale = (await storage.leases.acquire('rollup', 'suspended', 1))!;
    await storage.database.query('SELECT pg_sleep(0.01)');
    const current = (await storage.leases.acquire('rollup', 'successor'))!;
    await expect(storage.rollups.roll('minute', stale, storage.clock.now(), 10)).rejects.toThrow(
      LeaseLostError,
    );
    expect(await queued()).toEqual([{ kind: 'minute' }]);
    expect(await storage.rollups.roll('minute', current, storage.clock.now(), 10)).toBe(1);
  });

  it('catches up after an outage in batches, oldest first', async () => {
    const t0 = storage.clock.now();
    for (let i = 0; i < 7; i++)
      await storage.sink.store(tick(t0 + i * MINUTE_MS, { 'cpu.usage_percent': i }));
    storage.clock.advance(HOUR_MS);
    const lease = await storage.lease();
    expect(await storage.rollups.roll('minute', lease, storage.clock.now(), 3)).toBe(3);
    expect((await minutes()).map(({ bucket }) => bucket.getTime())).toEqual(
      [0, 1, 2].map((i) => t0 + i * MINUTE_MS),
    );
    expect((await points('cpu.usage_percent', 2 * HOUR_MS, MINUTE_MS)).map(({ avg }) => avg)).toEqual([
      0, 1, 2, 3, 4, 5, 6,
    ]);
    await storage.roll();
    expect(await minutes()).toHaveLength(7);
  });

  it('keeps an hour right: least of least, greatest of greatest, mean weighted by count', async () => {
    const t0 = storage.clock.now();
    for (const [at, value] of [
      [0, 1],
      [1_000, 2],
      [2_000, 3],
      [MINUTE_MS, 100],
    ] as const) {
      await storage.sink.store(tick(t0 + at, { 'cpu.usage_percent': value }, { intervalMs: 1_000 }));
    }
    storage.clock.advance(2 * HOUR_MS);
    await storage.roll();
    expect(await points('cpu.usage_percent', 3 * HOUR_MS, HOUR_MS)).toEqual([
      { atMs: t0, min: 1, avg: 26.5, max: 100, count: 4 },
    ]);
  });

  it('averages levels over instances and adds amounts', async () => {
    const t0 = storage.clock.now();
    for (const [instance, value] of [
      ['a', 10],
      ['b', 30],
    ] as const) {
      const values = {
        'cpu.usage_percent': value,
        'requests.active': value,
        'network.sent_bytes_per_second': value,
      };
      await storage.sink.store(tick(t0, values, { instance }));
      await storage.sink.store(tick(t0 + 15_000, values, { instance }));
    }
    storage.clock.advance(3 * HOUR_MS);
    for (const rolled of [false, true]) {
      if (rolled) await storage.roll();
      for (const stepMs of [MINUTE_MS, HOUR_MS]) {
        const rangeMs = stepMs === MINUTE_MS ? 4 * HOUR_MS : 4 * HOUR_MS;
        expect(await points('cpu.usage_percent', rangeMs, stepMs)).toEqual([
          { atMs: t0, min: 10, avg: 20, max: 30, count: 4 },
        ]);
        // Both may run on one host, which sends only once what they both see.
        expect(await points('network.sent_bytes_per_second', rangeMs, stepMs)).toEqual([
          { atMs: t0, min: 10, avg: 20, max: 30, count: 4 },
        ]);
        expect(await points('requests.active', rangeMs, stepMs)).toEqual([
          { atMs: t0, min: 40, avg: 40, max: 40, count: 4 },
        ]);
        expect(await points('requests.active', rangeMs, stepMs, 'b')).toEqual([
          { atMs: t0, min: 30, avg: 30, max: 30, count: 2 },
        ]);
      }
    }
  });

  it('shows registered gauges of the business as long as other metrics, and posted samples as they came', async () => {
    const t0 = storage.clock.now();
    const gauge = (value: number) => ({ 'business.queue': value, 'cpu.usage_percent': value });
    for (let i = 0; i < 4; i++) await storage.sink.store(tick(t0 + i * 15_000, gauge(i)));
    storage.clock.advance(2 * MINUTE_MS);
    const at = (ms: number) => new Date(t0 + ms).toISOString();
    await storage.business.accept([{ name: 'queue', value: 50, at: at(90_000) }]);
    await storage.business.accept([{ name: 'posted', value: 60, at: at(90_000) }]);
    const read = async (name: string, fromMs: number, toMs: number, points: number) => {
      const range = { from: new Date(t0 + fromMs), to: new Date(t0 + toMs) };
      const { series } = await storage.history.read({ names: [name], ...range, points });
      return series[0]?.points.map(({ atMs, avg, count }) => [atMs - t0, avg, count]) ?? [];
    };
    const shown = () =>
      Promise.all(['business.queue', 'business.posted'].map((name) => read(name, 0, HOUR_MS, 300)));
    const ofTicks = [0, 1.5, 4];
    for (const ageMs of [3 * DAY_MS, 29 * DAY_MS]) {
      storage.clock.advance(t0 + ageMs - storage.clock.now());
      await storage.roll();
      await storage.retention.run(await storage.lease());
      expect(await read('cpu.usage_percent', 0, HOUR_MS, 60)).toEqual([ofTicks]);
      expect(await shown()).toEqual([[ofTicks, [90_000, 50, 1]], [[90_000, 60, 1]]]);
    }
    // The minutes are gone; hours hold the ticks, and posted samples are still there, counted once.
    storage.clock.advance(2 * DAY_MS - HOUR_MS);
    await storage.retention.run(await storage.lease());
    expect(await shown()).toEqual([[ofTicks, [90_000, 50, 1]], [[90_000, 60, 1]]]);
    expect(await read('business.queue', 60_000, HOUR_MS, 300)).toEqual([
      [60_000, 1.5, 4],
      [90_000, 50, 1],
    ]);
    storage.clock.advance(100 * DAY_MS);
    await storage.retention.run(await storage.lease());
    expect(await read('business.queue', 0, HOUR_MS, 300)).toEqual([[0, 11.2, 5]]);
  });

  it('gives no points finer than the ticks were', async () => {
    const t0 = storage.clock.now();
    for (let i = 0; i < 4; i++)
      await storage.sink.store(tick(t0 + i * 60_000, { 'cpu.usage_percent': i }, { intervalMs: 60_000 }));
    storage.clock.advance(5 * MINUTE_MS);
    const nowMs = storage.clock.now();
    const answer = await storage.history.read({
      names: ['cpu.usage_percent'],
      from: new Date(nowMs - 5 * MINUTE_MS),
      points: 2000,
    });
    expect(answer.stepMs).toBe(60_000);
  });

  it('drops the samples of series beyond the limit, and says how many', async () => {
    const t0 = storage.clock.now();
    const values = Object.fromEntries(
      Array.from({ length: MAX_SYSTEM_SERIES + 5 }, (_, i) => [`odd.metric_${i}`, i]),
    );
    await storage.sink.store(tick(t0, values));
    storage.clock.advance(MINUTE_MS);
    // The metric that counts them has a place of its own, so six found none.
    expect((await points('vigia.series_overflow', 2 * MINUTE_MS, 15_000)).map(({ max }) => max)).toEqual([6]);
    expect(storage.dictionary.overflowed).toBe(6);
    const rows = await storage.database.query<{ n: string }>('SELECT count(*) AS n FROM vigia.metric_series');
    expect(Number(rows[0]!.n)).toBe(MAX_SYSTEM_SERIES);
    // Somebody else's business gauges still find room.
    expect(await storage.business.accept([{ name: 'orders.open', value: 1 }])).toEqual({
      accepted: 1,
      rejected: [],
    });
  });

  it('goes on storing every known series while the limit is reached, across the hourly refresh', async () => {
    const t0 = storage.clock.now();
    const odd = (from: number, count: number) =>
      Object.fromEntries(Array.from({ length: count }, (_, i) => [`odd.metric_${from + i}`, 1]));
    await storage.sink.store(tick(t0, { 'cpu.usage_percent': 1, ...odd(0, MAX_SYSTEM_SERIES) }));
    // Each tick meets one more new series, so the pause is renewed and runs when the hour is over.
    for (let i = 1; i <= 70; i++) {
      storage.clock.advance(MINUTE_MS - 2_000);
      await storage.sink.store(tick(storage.clock.now(), { 'cpu.usage_percent': 1, ...odd(5_000 + i, 1) }));
    }
    storage.clock.advance(2 * MINUTE_MS + 20_000); // to a full minute
    const cpu = await points('cpu.usage_percent', 2 * HOUR_MS, MINUTE_MS);
    expect(cpu.reduce((sum, { count }) => sum + count, 0)).toBe(71);
    const overflow = await points('vigia.series_overflow', 2 * HOUR_MS, MINUTE_MS);
    expect(overflow.reduce((sum, { count }) => sum + count, 0)).toBe(71);
    expect(overflow.at(-1)).toMatchObject({ max: 1 });
    // Another instance, in its own pause, still finds what exists.
    const other = metricsStorageOn(storage.database);
    await other.dictionary.idsOf([{ name: 'odd.new', labels: {} }]);
    expect(await other.dictionary.idsOf([{ name: 'cpu.usage_percent', labels: {} }])).not.toEqual([null]);
  });

  it('takes a business gauge that exists while there is no room for another', async () => {
    const labelled = (shop: number) => ({ name: 'orders.open', value: 1, labels: { shop: `${shop}` } });
    const series = Array.from({ length: MAX_BUSINESS_SERIES }, (_, i) => labelled(i));
    await storage.business.accept(series.slice(0, 500));
    await storage.business.accept(series.slice(500));
    const other = metricsStorageOn(storage.database);
    expect(await other.business.accept([labelled(5_000)])).toMatchObject({ accepted: 0 });
    expect(await other.business.accept([labelled(7)])).toEqual({ accepted: 1, rejected: [] });
  });

  it('gives each series one number, however many instances meet it at once', async () => {
    const others = Array.from({ length: 6 }, () => metricsStorageOn(storage.database));
    const names = Array.from({ length: 30 }, (_, i) => ({ name: `m.${i}`, labels: { b: '1', a: '2' } }));
    const swapped = names.map(({ name }) => ({ name, labels: { a: '2', b: '1' } }));
    const ids = await Promise.all(
      others.map(({ dictionary }, i) => dictionary.idsOf(i % 2 ? names : swapped)),
    );
    for (const one of ids) expect(one).toEqual(ids[0]);
    expect(new Set(ids[0]).size).toBe(30);
  });

  it('removes what is older than the configuration keeps, in batches, and nothing that is still to be rolled up', async () => {
    const t0 = storage.clock.now();
    await storage.sink.store(tick(t0, { 'cpu.usage_percent': 1 }));
    storage.clock.advance(2 * DAY_MS + HOUR_MS);
    const lease = await storage.lease();
    const raw = () => storage.database.query('SELECT 1 FROM vigia.system_metrics');
    await storage.retention.run(lease);
    expect(await raw()).toHaveLength(1);
    await storage.roll();
    expect(await storage.retention.run(lease)).toBe(1);
    expect(await raw()).toHaveLength(0);
    expect((await points('cpu.usage_percent', 3 * DAY_MS, HOUR_MS)).map(({ avg }) => avg)).toEqual([1]);
    storage.clock.advance(30 * DAY_MS);
    await storage.retention.run(await storage.lease());
    expect(await minutes()).toHaveLength(0);
    expect(await hours()).toHaveLength(1);
    storage.clock.advance(731 * DAY_MS);
    await storage.retention.run(await storage.lease());
    expect(await hours()).toHaveLength(0);
    expect(await storage.database.query('SELECT 1 FROM vigia.metric_series')).toHaveLength(0);
  });

  it('does not replace a roll-up by one whose ticks are mostly gone', async () => {
    const t0 = storage.clock.now();
    for (let i = 0; i < 4; i++) await storage.sink.store(tick(t0 + i * 15_000, { 'cpu.usage_percent': 10 }));
    storage.clock.advance(HOUR_MS);
    await storage.roll();
    await storage.database.execute('DELETE FROM vigia.system_metrics');
    await storage.sink.store(tick(t0 + 50_000, { 'cpu.usage_percent': 99 }));
    await storage.roll();
    expect((await minutes()).map(({ ticks, maxs }) => [ticks, Math.max(...maxs)])).toEqual([[4, 10]]);
  });

  it('keeps the newest snapshot of each instance, and shows live ones to psql', async () => {
    const nowMs = floorTo(Date.now(), 15_000);
    await storage.sink.store(tick(nowMs - 15_000, { 'cpu.usage_percent': 1 }));
    await storage.sink.store(tick(nowMs, { 'cpu.usage_percent': 12.3 }));
    await storage.sink.store(tick(nowMs - HOUR_MS, { 'cpu.usage_percent': 7 }, { instance: 'gone' }));
    expect((await storage.sink.latest('a'))?.at).toBe(new Date(nowMs).toISOString());
    expect((await storage.sink.latest('gone'))?.instance).toBe('gone');
    expect(await storage.sink.latest('nobody')).toBeNull();
    expect(
      await storage.database.query(
        `SELECT instance, name, value FROM vigia.v_current_metrics WHERE name = 'cpu.usage_percent'`,
      ),
    ).toEqual([{ instance: 'a', name: 'cpu.usage_percent', value: 12.3 }]);
  });

  it('refuses a question that takes too long, within 2 s, and frees its connection', async () => {
    await storage.sink.store(tick(storage.clock.now(), { 'cpu.usage_percent': 1, 'requests.total': 1 }));
    const question = {
      names: ['cpu.usage_percent', 'requests.total'], // a level and an amount share one deadline
      from: new Date(storage.clock.now() - 700 * DAY_MS),
      points: 2000,
    };
    await storage.database.transaction(async (tx) => {
      // Stands for a table so large that reading it takes minutes.
      await tx.execute('LOCK TABLE vigia.metric_hours IN ACCESS EXCLUSIVE MODE');
      const startedMs = performance.now();
      const outcomes = await Promise.allSettled(
        Array.from({ length: 12 }, () => storage.history.read(question)),
      );
      expect(performance.now() - startedMs).toBeLessThan(2_000);
      const codes = outcomes.map((outcome) => (outcome as { reason: { code: string } }).reason.code).sort();
      // Four had their turn and took too long; eight did not get one, and may ask again.
      expect(codes).toEqual([
        ...new Array<string>(4).fill('RANGE_TOO_WIDE'),
        ...new Array<string>(8).fill('RATE_LIMITED'),
      ]);
      const hour = { names: ['requests.p95_ms', 'requests.error_percent'], points: 300 };
      const wide = storage.history.read(question).catch(() => undefined);
      expect((await storage.history.read(hour)).series).toHaveLength(2);
      await wide;
    });
    expect((await storage.history.read(question)).series).toHaveLength(2);
  });

  it('refuses a name that nothing knows, and answers one that has no sample yet', async () => {
    await expect(storage.history.read({ names: ['no.such_metric'], points: 300 })).rejects.toMatchObject({
      status: 404,
    });
    expect((await storage.history.read({ names: ['cache.hit_percent'], points: 300 })).series).toEqual([]);
  });
});

describe('latencies over time', () => {
  let storage: Storage;
  beforeEach(async () => {
    storage = await openMetricsStorage();
  });
  afterEach(() => storage.close());

  const nthGreatest = (values: number[], share: number) =>
    values.sort((a, b) => a - b)[Math.ceil(values.length * share) - 1]!;

  /** A busy quick instance and a quiet slow one, as in a roll-out that went wrong on one host. */
  function skewed() {
    let seed = 7;
    const random = () => (seed = (seed * 16_807) % 2_147_483_647) / 2_147_483_647;
    const quick = Array.from({ length: 90_000 }, () => 5 + 40 * random() ** 4);
    const slow = Array.from({ length: 10_000 }, () => 200 + 6_000 * random() ** 3);
    return { quick, slow };
  }

  it('takes the p99 of two unlike instances from the sum of their sketches, never from an average', async () => {
    const t0 = storage.clock.now();
    const { quick, slow } = skewed();
    await storage.sink.storeRouteMinutes('a', t0, [routeMinute('/orders', quick)], 'boot-a');
    await storage.sink.storeRouteMinutes('b', t0, [routeMinute('/orders', slow)], 'boot-b');
    storage.clock.advance(3 * HOUR_MS);
    const exact = nthGreatest([...quick, ...slow], 0.99);
    const averaged = (nthGreatest([...quick], 0.99) + nthGreatest([...slow], 0.99)) / 2;
    expect(Math.abs(averaged - exact) / exact).toBeGreaterThan(0.2);
    for (const rolled of [false, true]) {
      if (rolled) await storage.roll();
      const [item] = (await metricsStorageAt(storage).read('24h', null)).items;
      expect(item).toMatchObject({ method: 'GET', route: '/orders', requests: 100_000 });
      expect(Math.abs(item!.p99Ms - exact) / exact).toBeLessThan(0.02);
      const nowMs = storage.clock.now();
      const { series } = await storage.history.read({
        names: ['requests.p99_ms'],
        from: new Date(nowMs - 6 * HOUR_MS),
        points: 6,
      });
      expect(series[0]!.points).toHaveLength(1);
      const [point] = series[0]!.points;
      expect(point!.count).toBe(100_000);
      expect(Math.abs(point!.avg - exact) / exact).toBeLessThan(0.02);
    }
  });

  it('weighs errors and mean times by the requests behind them, over instances and time', async () => {
    const t0 = storage.clock.now();
    await storage.sink.storeRouteMinutes('a', t0, [routeMinute('/x', new Array<number>(999).fill(10))], 'a');
    await storage.sink.storeRouteMinutes('b', t0, [routeMinute('/x', [1_010], 1)], 'b');
    await storage.sink.storeRouteMinutes('b', t0 + MINUTE_MS, [routeMinute('/x', [20], 0)], 'b');
    await storage.sink.storeRouteMinutes('b', t0 + 2 * MINUTE_MS, [routeMinute('/x', [])], 'b');
    storage.clock.advance(3 * HOUR_MS);
    const read = async (name: string, points: number, instance?: string) => {
      const from = new Date(storage.clock.now() - 6 * HOUR_MS);
      const { series } = await storage.history.read({ names: [name], from, points, instance });
      return series[0]!.points;
    };
    for (const rolled of [false, true]) {
      if (rolled) await storage.roll();
      expect(await read('requests.error_percent', 360)).toEqual([
        { atMs: t0, min: 0.1, avg: 0.1, max: 0.1, count: 1_000 },
        { atMs: t0 + MINUTE_MS, min: 0, avg: 0, max: 0, count: 1 },
      ]);
      expect(await read('requests.avg_response_time_ms', 360)).toMatchObject([{ avg: 11 }, { avg: 20 }]);
      const [hour] = await read('requests.error_percent', 6);
      expect(hour).toMatchObject({ count: 1_001, avg: expect.closeTo(100 / 1_001, 6) });
      expect(await read('requests.error_percent', 6, 'b')).toMatchObject([{ avg: 50, count: 2 }]);
      expect(await read('requests.client_error_percent', 6)).toMatchObject([{ avg: 0 }]);
    }
  });

  it('merges the minutes of an hour by their sketches', async () => {
    const t0 = storage.clock.now();
    await storage.sink.storeRouteMinutes(
      'a',
      t0,
      [routeMinute('/x', new Array<number>(980).fill(10))],
      'boot',
    );
    await storage.sink.storeRouteMinutes(
      'a',
      t0 + MINUTE_MS,
      [routeMinute('/x', new Array<number>(20).fill(1_000), 5)],
      'boot',
    );
    storage.clock.advance(2 * HOUR_MS);
    await storage.roll();
    const rows = await storage.latencies.hours({
      fromMs: t0,
      toMs: t0 + HOUR_MS,
      instance: null,
      which: 'routes',
    });
    expect(rows).toHaveLength(1);
    const [item] = (await metricsStorageAt(storage).read('24h', null)).items;
    expect(item).toMatchObject({ requests: 1000, errorPercent: 0.5, avgMs: 29.8, maxMs: 1000 });
    expect(item!.p95Ms).toBeCloseTo(10, 0);
    expect(item!.p99Ms).toBeGreaterThan(990);
  });

  it('counts both boots of an instance that restarted in mid-minute, and a repeated write once', async () => {
    const t0 = storage.clock.now();
    for (const boot of ['one', 'two', 'two'])
      await storage.sink.storeRouteMinutes('a', t0, [routeMinute('/x', [10, 20])], boot);
    storage.clock.advance(2 * MINUTE_MS);
    expect((await metricsStorageAt(storage).read('5m', null)).items).toMatchObject([
      { requests: 4, requestsPerMinute: 2 },
    ]);
    storage.clock.advance(2 * HOUR_MS);
    await storage.roll();
    await storage.sink.storeRouteMinutes('a', t0, [routeMinute('/x', [10, 20])], 'one');
    await storage.roll();
    expect((await metricsStorageAt(storage).read('24h', null)).items).toMatchObject([{ requests: 4 }]);
  });

  it('counts a minute that a clock set back repeats, and each writing of it once', async () => {
    const t0 = storage.clock.now();
    const first = [routeMinute('/x', [10, 20])];
    const second = [routeMinute('/x', [10, 21, 30], 1)];
    for (const rows of [first, second, second, first])
      await storage.sink.storeRouteMinutes('a', t0, rows, 'boot');
    storage.clock.advance(3 * HOUR_MS);
    for (const rolled of [false, true]) {
      if (rolled) await storage.roll();
      expect((await metricsStorageAt(storage).read('24h', null)).items).toMatchObject([
        { requests: 5, errorPercent: 20, maxMs: 30 },
      ]);
    }
  });

  it('keeps the 100 busiest routes of an hour by name and the rest as one, losing no request', async () => {
    const t0 = storage.clock.now();
    const rows = (first: number) =>
      Array.from({ length: 80 }, (_, i) =>
        routeMinute(`/r${first + i}`, new Array<number>(200 - first - i).fill(5)),
      );
    await storage.sink.storeRouteMinutes('a', t0, rows(0), 'boot');
    await storage.sink.storeRouteMinutes('a', t0 + MINUTE_MS, rows(80), 'boot');
    storage.clock.advance(2 * HOUR_MS);
    const before = (await metricsStorageAt(storage).read('24h', null)).items;
    await storage.roll();
    const items = (await metricsStorageAt(storage).read('24h', null)).items;
    const total = (all: typeof items) => all.reduce((sum, { requests }) => sum + requests, 0);
    expect([before.length, items.length]).toEqual([160, 101]);
    expect(total(items)).toBe(total(before));
    expect(items.some(({ route }) => route === '__overflow__')).toBe(true);
    expect(items.some(({ route }) => route === '/r0')).toBe(true);
    expect(items.some(({ route }) => route === '/r159')).toBe(false);
  });

  it('counts requests a minute over the time that was watched, and hides routes nobody waited for', async () => {
    const t0 = storage.clock.now();
    const read = async () => {
      const [item, ...others] = (await metricsStorageAt(storage).read('1h', null)).items;
      expect(others).toEqual([]);
      return item!.requestsPerMinute;
    };
    const gone = { ...routeMinute('/slow', []), aborted: 3 };
    await storage.sink.storeRouteMinutes(
      'a',
      t0,
      [routeMinute('/x', new Array<number>(60).fill(5)), gone],
      'b',
    );
    storage.clock.advance(30_000);
    expect(await read()).toBe(60); // of less than a minute nothing is made up
    storage.clock.advance(90_000);
    expect(await read()).toBe(30);
    // The service was there for longer, though nobody asked it anything.
    await storage.sink.store(tick(t0 - 8 * MINUTE_MS + 15_000, { 'cpu.usage_percent': 1 }));
    expect(await read()).toBe(6);
    await storage.sink.store(tick(t0 - 3 * HOUR_MS, { 'cpu.usage_percent': 1 }));
    await storage.sink.store(tick(t0 - 58 * MINUTE_MS, { 'cpu.usage_percent': 1 }));
    expect(await read()).toBe(1);
  });

  it('lists the slowest first and lets nobody see the sum of all routes as a route', async () => {
    const t0 = storage.clock.now();
    await storage.sink.storeRouteMinutes(
      'a',
      t0,
      [routeMinute('/quick', [1, 2]), routeMinute('/slow', [500]), routeMinute('*', [50])],
      'boot',
    );
    storage.clock.advance(MINUTE_MS);
    const { items } = await metricsStorageAt(storage).read('5m', null);
    expect(items.map(({ route }) => route)).toEqual(['/slow', '*', '/quick']);
  });
});

/** A reader without an answer to reuse. */
function metricsStorageAt(storage: Storage) {
  const fresh = metricsStorageOn(storage.database);
  fresh.clock.advance(storage.clock.now() - fresh.clock.now());
  return fresh.performance;
}

/** Until some session of this database waits for another's row. */
async function untilSomebodyWaits({ database }: Storage): Promise<void> {
  for (let attempt = 0; attempt < 200; attempt++) {
    const rows = await database.query(
      `SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`,
    );
    if (rows.length > 0) return;
    await database.query('SELECT pg_sleep(0.01)');
  }
  throw new Error('nobody waited');
}
