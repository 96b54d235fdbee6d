import { z } from 'zod';
import { isoText, plainText } from '../../../core/index.js';

/** `?instance=` of the latest snapshot. */
export const instanceQuery = z.strictObject({ instance: plainText(256).optional() });
export type InstanceQuery = z.infer<typeof instanceQuery>;

const known = z.number().nullable();
const group = <K extends string>(...keys: K[]) =>
  z.object(Object.fromEntries(keys.map((key) => [key, known])) as Record<K, typeof known>);

const diskAnswer = group(
  ...(['usedBytes', 'totalBytes', 'percentage'] as const),
  ...(['readBytesPerSecond', 'writeBytesPerSecond', 'readsPerSecond', 'writesPerSecond'] as const),
).extend({ mount: z.string() });

/** The snapshot as the OpenAPI document describes it; its type is `Snapshot`. */
export const snapshotAnswer = z.object({
  at: isoText,
  instance: z.string(),
  cpu: group('usage', 'cores', 'frequencyMhz').extend({ load: z.tuple([known, known, known]) }),
  memory: group(
    ...([
      'used',
      'total',
      'percentage',
      'available',
      'swapUsed',
      'swapTotal',
      'limitBytes',
      'cachedBytes',
    ] as const),
  ),
  disk: z.array(diskAnswer),
  network: group(
    ...(['receivedBytesPerSecond', 'sentBytesPerSecond', 'errorsPerSecond'] as const),
    ...(['receivedPacketsPerSecond', 'sentPacketsPerSecond'] as const),
  ),
  process: group(
    ...([
      'rssBytes',
      'heapUsedBytes',
      'heapLimitBytes',
      'eventLoopDelayP99Ms',
      'eventLoopUtilization',
    ] as const),
    ...(['handles', 'threads', 'connections', 'uptimeSeconds'] as const),
  ),
  requests: group('perMinute', 'avgResponseTime', 'errorRate', 'clientErrorRate', 'p95', 'p99').extend({
    total: z.number(),
    sampleCount: z.number(),
    active: z.number(),
  }),
  database: group(
    'connections',
    'activeQueries',
    'slowQueries',
    'latencyMs',
    'poolSize',
    'poolWaiting',
  ).nullable(),
  cache: group('hitRate', 'missRate', 'evictions', 'entries', 'bytes').nullable(),
  sockets: group('connections', 'rooms').nullable(),
  jobs: group('waiting', 'active', 'failed').nullable(),
  users: group('activeNow'),
  business: z.record(z.string(), z.number()),
});

/** The document of `GET /system/info`. */
export const systemInfoAnswer = z.object({
  host: z.object({ name: z.string(), platform: z.string(), architecture: z.string() }),
  os: z.object({ name: z.string(), release: z.string() }),
  cpu: z.object({ model: z.string().nullable(), count: z.number() }),
  memory: z.object({ totalBytes: z.number() }),
  container: z.object({ memoryLimitBytes: known, cpuLimitCores: known }),
  node: z.object({ version: z.string(), v8: z.string() }),
  app: z.object({
    version: z.string().nullable(),
    instance: z.string(),
    startedAt: isoText,
    uptimeSeconds: z.number(),
  }),
  dependencies: z.record(z.string(), z.string().nullable()),
});
export type SystemInfo = z.infer<typeof systemInfoAnswer>;
