import type { DiskSnapshot, Snapshot } from '../../src/modules/monitoring/metrics/metrics.types.js';
import type { ReadText } from '../../src/modules/monitoring/metrics/probes/text-file.js';

/** A `/proc` and `/sys` made of strings: what is not named cannot be read. */
export function filesOf(files: Record<string, string>): ReadText {
  return (path) => Promise.resolve(files[path] ?? null);
}

const disk = (mount: string): DiskSnapshot => ({
  ...{ mount, usedBytes: 50, totalBytes: 100, percentage: 50 },
  ...{ readBytesPerSecond: 1, writeBytesPerSecond: 2, readsPerSecond: 3, writesPerSecond: 4 },
});

/** A snapshot in which every value is known. */
export function snapshotFixture(): Snapshot {
  return {
    at: '2026-01-15T10:00:00.000Z',
    instance: 'a',
    cpu: { usage: 12.5, load: [0.5, 0.4, 0.3], cores: 4, frequencyMhz: 2_400 },
    memory: {
      ...{ used: 60, total: 100, percentage: 60, available: 40 },
      ...{ swapUsed: 1, swapTotal: 10, limitBytes: 100, cachedBytes: 20 },
    },
    disk: [disk('/'), disk('/data')],
    network: {
      ...{ receivedBytesPerSecond: 10, sentBytesPerSecond: 20, errorsPerSecond: 0.5 },
      ...{ receivedPacketsPerSecond: 1, sentPacketsPerSecond: 2 },
    },
    process: {
      ...{ rssBytes: 1e8, heapUsedBytes: 5e7, heapLimitBytes: 4e9, eventLoopDelayP99Ms: 1.5 },
      ...{ eventLoopUtilization: 0.2, handles: 9, threads: 11, connections: 3, uptimeSeconds: 77 },
    },
    requests: {
      ...{ total: 1_000, sampleCount: 70, perMinute: 60, avgResponseTime: 12, errorRate: 1 },
      ...{ clientErrorRate: 2, p95: 40, p99: 90, active: 2 },
    },
    database: {
      connections: 8,
      activeQueries: 1,
      slowQueries: 4,
      latencyMs: 0.7,
      poolSize: 5,
      poolWaiting: 1,
    },
    cache: { hitRate: 90, missRate: 10, evictions: 3, entries: 40, bytes: 4_000 },
    sockets: { connections: 2, rooms: 1 },
    jobs: { waiting: 1, active: 2, failed: 3 },
    users: { activeNow: 6 },
    business: { orders: 7 },
  };
}
