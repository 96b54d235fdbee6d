// Metrics in PostgreSQL: one statement a snapshot, how quick history is, how many bytes a sample costs.
// Run `node build.mjs` first. DATABASE_URL names a server where this may make and drop a database;
// without it a server is started for this run, with its default settings.
//   node metrics-storage.mjs [days, default 30]
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { Leases } from '../.cache/bench/src/core/leases/leases.js';
import { openDatabase } from '../.cache/bench/src/core/database/open-database.js';
import { settingsOf } from '../.cache/bench/src/modules/monitoring/metrics/config/settings.js';
import { HistoryService } from '../.cache/bench/src/modules/monitoring/metrics/history/history.service.js';
import { HistoryStore } from '../.cache/bench/src/modules/monitoring/metrics/history/history.store.js';
import { LatencyStore } from '../.cache/bench/src/modules/monitoring/metrics/history/latency.store.js';
import { WideQuestions } from '../.cache/bench/src/modules/monitoring/metrics/history/wide-questions.js';
import { RetentionStore } from '../.cache/bench/src/modules/monitoring/metrics/rollup/retention.store.js';
import { RollupStore } from '../.cache/bench/src/modules/monitoring/metrics/rollup/rollup.store.js';
import { PostgresMetricsSink } from '../.cache/bench/src/modules/monitoring/metrics/stores/postgres-metrics-sink.js';
import { SeriesDictionary } from '../.cache/bench/src/modules/monitoring/metrics/stores/series-dictionary.js';

const server = process.env.DATABASE_URL ? undefined : await ownServer();
const SERVER = process.env.DATABASE_URL ?? server.url;
const DAYS = Number(process.argv[2] ?? 30);
const METRICS = 50;
const TICK_MS = 15_000;
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const ROUNDS = 31;
const NOW_MS = Math.floor(Date.now() / HOUR_MS) * HOUR_MS;
/** What a budget missed, to say so by the exit code. */
const missed = [];
const ORIGINAL_SAMPLES = DAYS * (DAY_MS / TICK_MS) * METRICS;

const name = `bench_metrics_${process.pid}`;
await onServer(`CREATE DATABASE ${name}`);
const url = Object.assign(new URL(SERVER), { pathname: `/${name}` }).href;
const database = await openDatabase({ url, poolMax: 2, slowQueryMs: 60_000 });
try {
  await run();
} finally {
  await database.close();
  await onServer(`DROP DATABASE ${name} WITH (FORCE)`);
  await server?.stop();
}
if (missed.length > 0) {
  console.log(`\nmissed: ${missed.join('; ')}`);
  process.exitCode = 1;
}

async function ownServer() {
  const { startEmbeddedPostgres } = await import('../.cache/bench/src/database/embedded-postgres/index.js');
  const folder = mkdtempSync(join(tmpdir(), 'vigia-bench-'));
  chmodSync(folder, 0o755);
  const log = { info() {}, warn() {}, error: console.error };
  const started = await startEmbeddedPostgres({ dataDirectory: folder, log });
  const stop = async () => {
    await started.stop();
    rmSync(folder, { recursive: true, force: true });
  };
  return { url: started.url, stop };
}

async function run() {
  const clock = { now: () => NOW_MS, monotonicMs: () => performance.now() };
  const dictionary = new SeriesDictionary(database, clock);
  const sink = new PostgresMetricsSink(database, dictionary);
  await measureWrites(sink);
  console.log(
    `\nfilling ${DAYS} days x ${METRICS} metrics every ${TICK_MS / 1000} s: ${ORIGINAL_SAMPLES} samples`,
  );
  await fillOurs();
  await fillPeers();
  await printSizes();
  const wide = new WideQuestions(clock);
  const history = new HistoryService(
    new HistoryStore(database, wide),
    new LatencyStore(database),
    wide,
    dictionary,
    { current: () => settingsOf({}, {}, 0) },
    clock,
  );
  await compare('24 h of one metric as 300 points', DAY_MS, history, 5);
  await compare(`${DAYS} days of one metric as 300 points`, DAYS * DAY_MS, history, 20);
  await askWidest(history);
}

/** Counts what is really sent: every statement of a pooled connection. */
async function measureWrites(sink) {
  const sent = [];
  const query = pg.Client.prototype.query;
  pg.Client.prototype.query = function (config, ...rest) {
    sent.push(typeof config === 'string' ? config : config.text);
    return query.call(this, config, ...rest);
  };
  await sink.store(tickAt(NOW_MS - TICK_MS, 0)); // learns the series
  sent.length = 0;
  const tookMs = [];
  for (let i = 0; i < 200; i++) {
    const startedMs = performance.now();
    await sink.store(tickAt(NOW_MS + i * TICK_MS, i));
    tookMs.push(performance.now() - startedMs);
  }
  pg.Client.prototype.query = query;
  within('statements per snapshot', sent.length / 200, 1);
  console.log(
    `statements per snapshot of ${METRICS} metrics: ${sent.length / 200} (durable, p50 ${median(tookMs).toFixed(2)} ms)`,
  );
  await database.execute('TRUNCATE vigia.system_metrics, vigia.metric_rollup_queue');
}

/** Days one by one as they come: ticks in bulk into the sink's own layout, then roll-ups and retention as they run. */
async function fillOurs() {
  const leases = new Leases(database);
  const lease = await leases.acquire('bench', 'bench', HOUR_MS);
  const rollups = new RollupStore(database, leases);
  const retention = new RetentionStore(database, leases);
  let rollMs = 0;
  for (let day = DAYS; day > 0; day--) {
    const fromMs = NOW_MS - day * DAY_MS;
    for (let hour = 1; hour <= 24; hour++) {
      const nowMs = fromMs + hour * HOUR_MS;
      await loadHour(nowMs - HOUR_MS);
      const startedMs = performance.now();
      for (const kind of ['minute', 'hour']) {
        while ((await rollups.roll(kind, lease, nowMs - 1, 120)) > 0);
      }
      rollMs += performance.now() - startedMs;
      if (hour % 6 !== 0) continue;
      const table = { table: 'system_metrics', column: 'at', feeds: 'minute' };
      while ((await retention.removeOld(table, nowMs - 2 * DAY_MS, 5_000, lease)) > 0);
      // As autovacuum does on a machine that has the time.
      await database.execute('VACUUM vigia.system_metrics', [], { timeoutMs: 60_000 });
      await database.execute('VACUUM vigia.metric_rollup_queue', [], { timeoutMs: 60_000 });
    }
  }
  await database.execute('VACUUM ANALYZE', [], { timeoutMs: 60_000 });
  console.log(
    `roll-ups of those days took ${(rollMs / 1000).toFixed(1)} s, ${((rollMs * 1000) / (DAYS * 1440)).toFixed(0)} us a minute`,
  );
}

async function loadHour(fromMs) {
  const ticks = Array.from({ length: HOUR_MS / TICK_MS }, (_, i) =>
    tickAt(fromMs + i * TICK_MS, (fromMs + i * TICK_MS) / TICK_MS),
  );
  // Place 1 is the sink's own metric of dropped series.
  const readings = ticks.map(({ samples }) => `{0,${samples.map(({ value }) => value).join(',')}}`);
  await database.execute(
    `INSERT INTO vigia.system_metrics (at, instance, boot_id, sequence, interval_ms, late_ms, clock_jump_ms, readings, snapshot)
     SELECT at, $1, $2, 1, $3, 0, 0, readings::real[], snapshot FROM unnest($4::timestamptz[], $5::text[], $6::jsonb[]) AS tick(at, readings, snapshot)`,
    [
      ticks[0].instance,
      ticks[0].bootId,
      TICK_MS,
      ticks.map(({ atMs }) => new Date(atMs)),
      readings,
      ticks.map(({ snapshot }) => JSON.stringify(snapshot)),
    ],
  );
  await database.execute(
    `INSERT INTO vigia.metric_rollup_queue SELECT 'minute', minute, $3 FROM generate_series($1::timestamptz, $2::timestamptz, '1 minute') AS minute`,
    [new Date(fromMs), new Date(fromMs + HOUR_MS - 1), ticks[0].instance],
  );
}

/** The two layouts that people reach for first, with the same number of samples. */
async function fillPeers() {
  const ticks = `generate_series($1::timestamptz, $2::timestamptz - interval '1 second', '15 seconds') AS at`;
  const range = [new Date(NOW_MS - DAYS * DAY_MS), new Date(NOW_MS)];
  const many = { timeoutMs: 600_000 };
  await database.query(`CREATE SCHEMA peer`);
  await database.query(
    `CREATE TABLE peer.jsonb (at timestamptz NOT NULL, instance text NOT NULL, snapshot jsonb NOT NULL, PRIMARY KEY (at, instance))`,
  );
  await database.query(
    `CREATE TABLE peer.narrow (metric smallint NOT NULL, at timestamptz NOT NULL, value real NOT NULL)`,
  );
  const session = new pg.Client({ connectionString: url });
  await session.connect();
  await session.query('SET statement_timeout = 0');
  await session.query(
    `INSERT INTO peer.jsonb SELECT at, 'bench:3000', (SELECT jsonb_object_agg('group.metric_name_' || i, round((random() * 1000)::numeric, 3)) FROM generate_series(1, ${METRICS}) i WHERE at IS NOT NULL) FROM ${ticks}`,
    range,
  );
  await session.query(
    `INSERT INTO peer.narrow SELECT i, at, random() * 1000 FROM ${ticks}, generate_series(1, ${METRICS}) i`,
    range,
  );
  await session.query('CREATE INDEX ON peer.narrow (metric, at)');
  await session.query('VACUUM ANALYZE peer.jsonb, peer.narrow');
  await session.end();
}

async function printSizes() {
  const rows = await database.query(
    `SELECT n.nspname || '.' || c.relname AS name, pg_total_relation_size(c.oid)::float8 AS bytes, greatest(c.reltuples, 0)::float8 AS rows
     FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind = 'r' AND (n.nspname = 'peer' OR c.relname IN ('system_metrics', 'metric_minutes', 'metric_hours', 'metric_series', 'metric_rollup_queue'))
     ORDER BY 1 DESC`,
  );
  console.log('\nbytes per original sample, indexes and TOAST included');
  for (const { name: table, bytes, rows: count } of rows) {
    console.log(
      `  ${table.padEnd(28)} ${String(count).padStart(9)} rows ${(bytes / 1e6).toFixed(1).padStart(7)} MB  ${perSample(bytes)}`,
    );
  }
  const ours = sum(rows.filter(({ name: table }) => table.startsWith('vigia.')).map(({ bytes }) => bytes));
  const of = (peer) => rows.find(({ name: table }) => table === peer).bytes;
  console.log(
    `  ours, raw 48 h + roll-ups      ${(ours / 1e6).toFixed(1)} MB  ${perSample(ours)}  (must: 12)`,
  );
  console.log(
    `  jsonb / ours ${(of('peer.jsonb') / ours).toFixed(1)}x   narrow + btree / ours ${(of('peer.narrow') / ours).toFixed(1)}x`,
  );
}

async function compare(title, rangeMs, history, mustMs) {
  const from = new Date(NOW_MS - rangeMs);
  const to = new Date(NOW_MS);
  const stepMs = Math.ceil(rangeMs / 300 / 60_000) * 60_000;
  const bin = `date_bin(interval '${stepMs} milliseconds', at, 'epoch')`;
  const aggregates = (value) => `min(${value}), avg(${value}), max(${value}), count(*)`;
  let points = 0;
  const contestants = {
    ours: async () =>
      (points = (await history.read({ names: ['bench.metric_7'], from, to, points: 300 })).series[0].points
        .length),
    'jsonb snapshot': () =>
      database.query(
        `SELECT ${bin} AS step, ${aggregates(`(snapshot->>'group.metric_name_7')::float8`)} FROM peer.jsonb WHERE at >= $1 AND at < $2 GROUP BY 1 ORDER BY 1`,
        [from, to],
        { timeoutMs: 60_000 },
      ),
    'narrow + btree': () =>
      database.query(
        `SELECT ${bin} AS step, ${aggregates('value')} FROM peer.narrow WHERE metric = 7 AND at >= $1 AND at < $2 GROUP BY 1 ORDER BY 1`,
        [from, to],
        { timeoutMs: 60_000 },
      ),
  };
  const took = Object.fromEntries(Object.keys(contestants).map((key) => [key, []]));
  for (let round = -2; round < ROUNDS; round++) {
    for (const [key, ask] of Object.entries(contestants)) {
      const startedMs = performance.now();
      await ask();
      if (round >= 0) took[key].push(performance.now() - startedMs);
    }
  }
  within(title, median(took.ours), mustMs);
  console.log(`\n${title}: ${points} points, p50 of ${ROUNDS} interleaved rounds`);
  for (const [key, times] of Object.entries(took)) {
    const must =
      key === 'ours'
        ? `  (must: ${mustMs} ms; p95 ${times.sort((a, b) => a - b)[Math.floor(ROUNDS * 0.95)].toFixed(2)} ms)`
        : '';
    console.log(
      `  ${key.padEnd(16)} ${median(times).toFixed(2).padStart(8)} ms  ${(median(times) / median(took.ours)).toFixed(1)}x  fastest ${Math.min(...times).toFixed(2)} ms${must}`,
    );
  }
}

/** Two years of hours, all that one request may ask for, fifty times at once. */
async function askWidest(history) {
  await database.execute(
    `INSERT INTO vigia.metric_hours SELECT at, $3, 240, mins, avgs, maxs, counts
     FROM generate_series($1::timestamptz, $2::timestamptz, '1 hour') AS at, LATERAL (SELECT * FROM vigia.metric_hours LIMIT 1) AS hour
     ON CONFLICT DO NOTHING`,
    [new Date(NOW_MS - 731 * DAY_MS), new Date(NOW_MS - DAYS * DAY_MS), 'bench:3000'],
  );
  const names = Array.from({ length: 20 }, (_, i) => `bench.metric_${i}`);
  const range = { from: new Date(NOW_MS - 731 * DAY_MS), to: new Date(NOW_MS), points: 2000 };
  console.log('\nwidest question: two years as 2,000 points');
  for (const [asked, times] of [
    [names.slice(0, 1), 1],
    [names, 1],
    [names, 50],
  ]) {
    const startedMs = performance.now();
    const answers = await Promise.allSettled(
      Array.from({ length: times }, () => history.read({ names: asked, ...range })),
    );
    const refused = answers.filter(({ status }) => status === 'rejected').map(({ reason }) => reason.code);
    const took = performance.now() - startedMs;
    console.log(
      `  ${String(asked.length).padStart(2)} metrics, ${String(times).padStart(2)} at once: ${took.toFixed(0)} ms, ${times - refused.length} answered, refused: ${[...new Set(refused)].join() || 'none'}; resident ${(process.memoryUsage().rss / 1e6).toFixed(0)} MB`,
    );
  }
}

/** Values that wander with full precision, as measured ones do; the document has the shape of a real snapshot. */
function tickAt(atMs, i) {
  const value = (metric) =>
    Math.fround(500 + 400 * Math.sin(i / 900 + metric) + ((i * 7919 * (metric + 1)) % 1000) / 13.7);
  const samples = Array.from({ length: METRICS }, (_, metric) => ({
    name: `bench.metric_${metric}`,
    labels: {},
    value: value(metric),
  }));
  const instance = 'bench:3000';
  const group = (names, offset) => Object.fromEntries(names.map((key, j) => [key, value(offset + j)]));
  const snapshot = {
    at: new Date(atMs).toISOString(),
    instance,
    cpu: { usage: value(0), load: [value(1), value(2), value(3)], cores: 2, frequencyMhz: null },
    memory: group(
      ['used', 'total', 'percentage', 'available', 'swapUsed', 'swapTotal', 'limitBytes', 'cachedBytes'],
      4,
    ),
    disk: [
      {
        mount: '/',
        ...group(
          [
            'usedBytes',
            'totalBytes',
            'percentage',
            'readBytesPerSecond',
            'writeBytesPerSecond',
            'readsPerSecond',
            'writesPerSecond',
          ],
          12,
        ),
      },
    ],
    network: group(
      [
        'receivedBytesPerSecond',
        'sentBytesPerSecond',
        'receivedPacketsPerSecond',
        'sentPacketsPerSecond',
        'errorsPerSecond',
      ],
      19,
    ),
    process: group(
      [
        'rssBytes',
        'heapUsedBytes',
        'heapLimitBytes',
        'eventLoopDelayP99Ms',
        'eventLoopUtilization',
        'handles',
        'threads',
        'connections',
        'uptimeSeconds',
      ],
      24,
    ),
    requests: group(
      [
        'total',
        'sampleCount',
        'perMinute',
        'avgResponseTime',
        'errorRate',
        'clientErrorRate',
        'p95',
        'p99',
        'active',
      ],
      33,
    ),
    database: group(
      ['connections', 'activeQueries', 'slowQueries', 'latencyMs', 'poolSize', 'poolWaiting'],
      42,
    ),
    cache: null,
    sockets: null,
    jobs: group(['waiting', 'active', 'failed'], 48),
    users: { activeNow: 3 },
    business: {},
  };
  return {
    atMs,
    intervalMs: TICK_MS,
    instance,
    bootId: '7f1c9a52-6a35-4c58-9f0e-0c7a1f6f2b11',
    sequence: 1,
    snapshot,
    samples,
    marks: { lateMs: 0, clockJumpMs: 0 },
  };
}

async function onServer(sql) {
  const client = new pg.Client({ connectionString: SERVER });
  await client.connect();
  await client.query(sql);
  await client.end();
}

function within(what, figure, must) {
  if (figure > must) missed.push(`${what}: ${figure.toFixed(2)} instead of ${must}`);
}

function perSample(bytes) {
  return `${(bytes / ORIGINAL_SAMPLES).toFixed(2)} B/sample`;
}

function median(values) {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];
}

function sum(values) {
  return values.reduce((total, value) => total + value, 0);
}
