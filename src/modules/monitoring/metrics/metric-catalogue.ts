import type {
  Labels,
  MetricDefinition,
  MetricKind,
  MetricMerge,
  MetricSample,
  Snapshot,
} from './metrics.types.js';

/** Gauges of the business are defined by whoever sends them; this is what is known of all. */
export const BUSINESS_PREFIX = 'business.';

const define = (
  kind: MetricKind,
  merge: MetricMerge,
  unit: string,
  entries: Readonly<Record<string, string>>,
): MetricDefinition[] =>
  Object.entries(entries).map(([name, description]) => ({ name, unit, kind, merge, description }));

/** Every metric of this service; names are part of the contract. */
export const METRIC_CATALOGUE: readonly MetricDefinition[] = [
  ...define('gauge', 'mean', 'percent', {
    'cpu.usage_percent': 'CPU time in use, of all cores or of the container quota',
    'memory.used_percent': 'Memory in use, of the host or of the container limit',
    'disk.used_percent': 'Space in use on a mounted file system',
    'cache.hit_percent': 'Cache reads that found a value',
    'cache.miss_percent': 'Cache reads that found none',
  }),
  ...define('gauge', 'routes', 'percent', {
    'requests.error_percent': 'Share of answers of 500 and above, over all instances',
    'requests.client_error_percent': 'Share of answers of 400 to 499, over all instances',
  }),
  ...define('gauge', 'routes', 'ms', {
    'requests.avg_response_time_ms': 'Mean time of all answers, over all instances',
  }),
  ...define('gauge', 'mean', 'bytes', {
    'memory.used_bytes': 'Memory in use that cannot be reclaimed at once',
    'memory.total_bytes': 'Memory of the host, or the container limit',
    'memory.available_bytes': 'Memory that programs can still get without swapping',
    'memory.cached_bytes': 'Page cache',
    'memory.limit_bytes': 'Memory limit of the container, where there is one',
    'memory.swap_used_bytes': 'Swap space in use',
    'memory.swap_total_bytes': 'Swap space there is',
    'disk.used_bytes': 'Space in use on a mounted file system',
    'disk.total_bytes': 'Size of a mounted file system',
    'process.rss_bytes': 'Resident memory of this process',
    'process.heap_used_bytes': 'JavaScript heap in use',
    'process.heap_limit_bytes': 'JavaScript heap at which the process would end',
    'cache.bytes': 'Memory the cache holds',
  }),
  ...define('gauge', 'mean', 'bytes_per_second', {
    'disk.read_bytes_per_second': 'Read from the device of a mounted file system',
    'disk.write_bytes_per_second': 'Written to the device of a mounted file system',
    'network.received_bytes_per_second': 'Received by all real network interfaces',
    'network.sent_bytes_per_second': 'Sent by all real network interfaces',
  }),
  ...define('gauge', 'mean', 'per_second', {
    'disk.reads_per_second': 'Read operations of the device of a mounted file system',
    'disk.writes_per_second': 'Write operations of the device of a mounted file system',
    'network.received_packets_per_second': 'Packets received by all real network interfaces',
    'network.sent_packets_per_second': 'Packets sent by all real network interfaces',
    'network.errors_per_second': 'Receive and send errors of all real network interfaces',
  }),
  ...define('gauge', 'sum', 'per_minute', {
    'requests.per_minute': 'Answers a minute, over the last 60 to 70 s',
  }),
  ...define('counter', 'sum', 'count', {
    'requests.total':
      'Answers in one collection interval, added over instances; the running total is in the snapshot alone',
    'database.slow_queries': 'Statements slower than the threshold in one collection interval',
    'cache.evictions': 'Entries the cache had to drop, in one collection interval',
    'vigia.collect_skipped':
      'Collections left out because the one before still ran, in one collection interval',
    'vigia.dropped_records':
      'Records given up because the database was away for too long, in one collection interval',
    'vigia.overflow_requests': 'Answers of routes beyond the cap of series, in one collection interval',
  }),
  ...define('gauge', 'sum', 'count', {
    'requests.active': 'Requests under way',
    'database.active_queries': 'Statements of this process under way',
    'database.pool_size': 'Connections that the pool of this process holds',
    'database.pool_waiting': 'Callers waiting for a connection of the pool',
    'process.connections': 'Open HTTP connections',
    'cache.entries': 'Entries in the cache',
    'sockets.connections': 'Open realtime connections',
    'sockets.rooms': 'Rooms with at least one member',
    'vigia.buffered_records': 'Records that wait for the database',
  }),
  ...define('gauge', 'mean', 'count', {
    'cpu.cores': 'Cores that this process may use; a fraction under a container quota',
    'cpu.load_1m': 'Runnable and waiting tasks, over one minute',
    'cpu.load_5m': 'Runnable and waiting tasks, over five minutes',
    'cpu.load_15m': 'Runnable and waiting tasks, over fifteen minutes',
    'process.handles': 'Resources that keep this process alive',
    'process.threads': 'Threads of this process',
    'database.connections': 'Connections that the server has for this database, over all clients',
    'jobs.waiting': 'Background jobs that wait',
    'jobs.active': 'Background jobs under way',
    'jobs.failed': 'Background jobs that failed and are kept',
    'users.active_now': 'Distinct users of the last five minutes, over all instances',
    'component.status': '0 up, 1 degraded, 2 down; unknown is no data',
  }),
  ...define('gauge', 'mean', 'ms', {
    'process.event_loop_delay_p99_ms': 'How late timers fire, 99th percentile of one collection interval',
    'database.latency_ms': 'Time of a trivial statement through the pool of this process',
    'check.latency_ms': 'Time of a health check',
    'vigia.collect_duration_ms': 'Time one collection took',
  }),
  ...define('distribution', 'routes', 'ms', {
    'requests.p95_ms': 'Response time that 95 of 100 answers kept to, from merged histograms',
    'requests.p99_ms': 'Response time that 99 of 100 answers kept to, from merged histograms',
  }),
  ...define('gauge', 'mean', 'mhz', { 'cpu.frequency_mhz': 'Current clock of the first core' }),
  ...define('gauge', 'mean', 'ratio', {
    'process.event_loop_utilization': 'Share of time the event loop was busy, 0 to 1',
  }),
  ...define('gauge', 'mean', 'seconds', { 'process.uptime_seconds': 'Time since the process started' }),
];

const BY_NAME: ReadonlyMap<string, MetricDefinition> = new Map(
  METRIC_CATALOGUE.map((metric) => [metric.name, metric]),
);

/** The definition of a metric; every `business.<name>` has one. */
export function definitionOf(name: string): MetricDefinition | undefined {
  if (!name.startsWith(BUSINESS_PREFIX)) return BY_NAME.get(name);
  return { name, unit: '', kind: 'gauge', merge: 'mean', description: 'Gauge of the business' };
}

/** Figures of a tick that are amounts since the tick before; null at the first one. */
export interface TickAmounts {
  readonly requests: number | null;
  readonly slowQueries: number | null;
  readonly cacheEvictions: number | null;
}

type Reading = readonly [name: string, value: number | null | undefined];

/**
 * The snapshot's values, flat. A value that could not be read has no sample. Only gauges of this
 * process count as `business.*`: those that other programs posted are stored when they come.
 */
export function samplesOf(
  snapshot: Snapshot,
  amounts: TickAmounts,
  ownBusiness: Snapshot['business'],
): MetricSample[] {
  return [
    ...unlabelled([
      ...hostReadings(snapshot),
      ...processReadings(snapshot),
      ...serviceReadings(snapshot, amounts),
    ]),
    ...snapshot.disk.flatMap((disk) => labelled({ mount: disk.mount }, diskReadings(disk))),
    ...unlabelled(
      Object.entries(ownBusiness).map(([name, value]) => [BUSINESS_PREFIX + name, value] as const),
    ),
  ];
}

function hostReadings({ cpu, memory, network }: Snapshot): Reading[] {
  return [
    ['cpu.usage_percent', cpu.usage],
    ['cpu.load_1m', cpu.load[0]],
    ['cpu.load_5m', cpu.load[1]],
    ['cpu.load_15m', cpu.load[2]],
    ['cpu.cores', cpu.cores],
    ['cpu.frequency_mhz', cpu.frequencyMhz],
    ['memory.used_bytes', memory.used],
    ['memory.total_bytes', memory.total],
    ['memory.used_percent', memory.percentage],
    ['memory.available_bytes', memory.available],
    ['memory.cached_bytes', memory.cachedBytes],
    ['memory.limit_bytes', memory.limitBytes],
    ['memory.swap_used_bytes', memory.swapUsed],
    ['memory.swap_total_bytes', memory.swapTotal],
    ['network.received_bytes_per_second', network.receivedBytesPerSecond],
    ['network.sent_bytes_per_second', network.sentBytesPerSecond],
    ['network.received_packets_per_second', network.receivedPacketsPerSecond],
    ['network.sent_packets_per_second', network.sentPacketsPerSecond],
    ['network.errors_per_second', network.errorsPerSecond],
  ];
}

function diskReadings(disk: Snapshot['disk'][number]): Reading[] {
  return [
    ['disk.used_bytes', disk.usedBytes],
    ['disk.total_bytes', disk.totalBytes],
    ['disk.used_percent', disk.percentage],
    ['disk.read_bytes_per_second', disk.readBytesPerSecond],
    ['disk.write_bytes_per_second', disk.writeBytesPerSecond],
    ['disk.reads_per_second', disk.readsPerSecond],
    ['disk.writes_per_second', disk.writesPerSecond],
  ];
}

function processReadings({ process, requests }: Snapshot): Reading[] {
  return [
    ['process.rss_bytes', process.rssBytes],
    ['process.heap_used_bytes', process.heapUsedBytes],
    ['process.heap_limit_bytes', process.heapLimitBytes],
    ['process.event_loop_delay_p99_ms', process.eventLoopDelayP99Ms],
    ['process.event_loop_utilization', process.eventLoopUtilization],
    ['process.handles', process.handles],
    ['process.threads', process.threads],
    ['process.connections', process.connections],
    ['process.uptime_seconds', process.uptimeSeconds],
    ['requests.per_minute', requests.perMinute],
    ['requests.avg_response_time_ms', requests.avgResponseTime],
    ['requests.error_percent', requests.errorRate],
    ['requests.client_error_percent', requests.clientErrorRate],
    ['requests.p95_ms', requests.p95],
    ['requests.p99_ms', requests.p99],
    ['requests.active', requests.active],
  ];
}

function serviceReadings(
  { database, cache, sockets, jobs, users }: Snapshot,
  amounts: TickAmounts,
): Reading[] {
  return [
    ['requests.total', amounts.requests],
    ['database.connections', database?.connections],
    ['database.active_queries', database?.activeQueries],
    ['database.slow_queries', amounts.slowQueries],
    ['database.latency_ms', database?.latencyMs],
    ['database.pool_size', database?.poolSize],
    ['database.pool_waiting', database?.poolWaiting],
    ['cache.hit_percent', cache?.hitRate],
    ['cache.miss_percent', cache?.missRate],
    ['cache.evictions', amounts.cacheEvictions],
    ['cache.entries', cache?.entries],
    ['cache.bytes', cache?.bytes],
    ['sockets.connections', sockets?.connections],
    ['sockets.rooms', sockets?.rooms],
    ['jobs.waiting', jobs?.waiting],
    ['jobs.active', jobs?.active],
    ['jobs.failed', jobs?.failed],
    ['users.active_now', users.activeNow],
  ];
}

function unlabelled(readings: readonly Reading[]): MetricSample[] {
  return labelled({}, readings);
}

function labelled(labels: Labels, readings: readonly Reading[]): MetricSample[] {
  return readings.flatMap(([name, value]) => (value == null ? [] : [{ name, labels, value }]));
}
