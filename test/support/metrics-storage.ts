import { EventBus } from '../../src/core/events/event-bus.js';
import { InstanceBus } from '../../src/core/instance-bus/instance-bus.js';
import { Leases, type Lease } from '../../src/core/leases/leases.js';
import { Shutdown } from '../../src/core/lifecycle/shutdown.js';
import { BusinessGauges } from '../../src/modules/monitoring/metrics/business/business-gauges.js';
import { BusinessService } from '../../src/modules/monitoring/metrics/business/business.service.js';
import { BusinessStore } from '../../src/modules/monitoring/metrics/business/business.store.js';
import { MonitoringConfig } from '../../src/modules/monitoring/metrics/config/monitoring-config.js';
import { HistoryService } from '../../src/modules/monitoring/metrics/history/history.service.js';
import { HistoryStore } from '../../src/modules/monitoring/metrics/history/history.store.js';
import { LatencyStore } from '../../src/modules/monitoring/metrics/history/latency.store.js';
import { RequestRecorder } from '../../src/modules/monitoring/metrics/requests/request-recorder.js';
import { PerformanceService } from '../../src/modules/monitoring/metrics/history/performance.service.js';
import { WideQuestions } from '../../src/modules/monitoring/metrics/history/wide-questions.js';
import type { Snapshot, TickRecord } from '../../src/modules/monitoring/metrics/metrics.types.js';
import { LatencyHistogram } from '../../src/modules/monitoring/metrics/requests/latency-histogram.js';
import { RetentionService } from '../../src/modules/monitoring/metrics/rollup/retention.service.js';
import { RetentionStore } from '../../src/modules/monitoring/metrics/rollup/retention.store.js';
import { RollupService } from '../../src/modules/monitoring/metrics/rollup/rollup.service.js';
import { RollupStore } from '../../src/modules/monitoring/metrics/rollup/rollup.store.js';
import { SnapshotSources } from '../../src/modules/monitoring/metrics/snapshot-sources.js';
import { PostgresMetricsSink } from '../../src/modules/monitoring/metrics/stores/postgres-metrics-sink.js';
import { SeriesDictionary } from '../../src/modules/monitoring/metrics/stores/series-dictionary.js';
import { Instance } from '../../src/core/core.options.js';
import { encodeIntoCompressedBase64 } from 'hdr-histogram-js';
import { FakeClock } from './fake-clock.js';
import { openTestDatabase } from './test-database.js';

export const MINUTE_MS = 60_000;
export const HOUR_MS = 3_600_000;
export const DAY_MS = 24 * HOUR_MS;

/** All that keeps metrics, on a database of its own and a clock that stands still at 10:00:00. */
export async function openMetricsStorage() {
  const db = await openTestDatabase();
  const storage = metricsStorageOn(db.database);
  return { ...db, ...storage };
}

export function metricsStorageOn(
  database: Awaited<ReturnType<typeof openTestDatabase>>['database'],
  instanceId = 'a',
) {
  const clock = new FakeClock();
  const shutdown = new Shutdown(clock);
  const leases = new Leases(database);
  const bus = new InstanceBus(database, clock);
  const instance = new Instance(instanceId, `boot-${instanceId}`, clock.now());
  const config = new MonitoringConfig(database, bus, clock, shutdown, {});
  const dictionary = new SeriesDictionary(database, clock);
  const sink = new PostgresMetricsSink(database, dictionary);
  const rollups = new RollupStore(database, leases);
  const roller = new RollupService(rollups, clock, shutdown, leases, instance);
  const retention = new RetentionService(
    new RetentionStore(database, leases),
    config,
    clock,
    shutdown,
    leases,
    instance,
  );
  const businessStore = new BusinessStore(database);
  const gauges = new BusinessGauges(businessStore, clock, shutdown, new SnapshotSources());
  const business = new BusinessService(businessStore, dictionary, gauges, config, clock);
  const wide = new WideQuestions(clock);
  const latencies = new LatencyStore(database);
  const history = new HistoryService(
    new HistoryStore(database, wide),
    latencies,
    wide,
    dictionary,
    config,
    clock,
  );
  const performance = new PerformanceService(latencies, clock, new RequestRecorder(clock), instance);
  const lease = async (): Promise<Lease> => (await leases.acquire('metrics-test', instanceId, 60_000))!;
  const roll = async () => roller.run(await lease());
  return {
    clock,
    shutdown,
    leases,
    bus,
    config,
    dictionary,
    sink,
    rollups,
    roller,
    retention,
    gauges,
    business,
    history,
    latencies,
    performance,
    lease,
    roll,
    events: new EventBus(),
  };
}

/** A tick of one instance with the given values, by metric name. */
export function tick(
  atMs: number,
  values: Record<string, number>,
  more: Partial<TickRecord> = {},
): TickRecord {
  const { instance = 'a' } = more;
  return {
    atMs,
    intervalMs: 15_000,
    instance,
    ...{ bootId: 'boot-1', sequence: 1 },
    snapshot: { at: new Date(atMs).toISOString(), instance } as Snapshot,
    samples: Object.entries(values).map(([name, value]) => ({ name, labels: {}, value })),
    marks: { lateMs: 0, clockJumpMs: 0 },
    ...more,
  };
}

export function sketchOf(latenciesMs: readonly number[]): Buffer {
  const histogram = new LatencyHistogram();
  for (const ms of latenciesMs) histogram.record(ms);
  return Buffer.from(encodeIntoCompressedBase64(histogram.toHdr()), 'base64');
}

/** One method and route of a minute that answered with these latencies. */
export function routeMinute(route: string, latenciesMs: readonly number[], serverErrors = 0) {
  return {
    ...{ method: 'GET', route, requests: latenciesMs.length, serverErrors, clientErrors: 0, aborted: 0 },
    sumMs: latenciesMs.reduce((sum, ms) => sum + ms, 0),
    maxMs: latenciesMs.reduce((most, ms) => Math.max(most, ms), 0),
    sketch: sketchOf(latenciesMs),
  };
}
