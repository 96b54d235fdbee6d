/** Facts that name a series beside its metric, e.g. `{ mount: '/' }`. */
export type Labels = Readonly<Record<string, string>>;

/** What a value says, for whoever reads it. */
export type MetricKind =
  /** A level or a rate at a moment. */
  | 'gauge'
  /** How much there was in one collection interval. */
  | 'counter'
  /** A quantile of a distribution. */
  | 'distribution';

/** How the values of several instances become one; over time all are averaged. */
export type MetricMerge =
  /** Every instance has its own share, and the whole is their sum. */
  | 'sum'
  /** Ratios, times, and all that belongs to the host, which several instances may share. */
  | 'mean'
  /** Computed anew from what the routes did: a mean of ratios or quantiles would say nothing. */
  | 'routes';

export interface MetricDefinition {
  /** Dotted lower snake case with the unit last where there is one, e.g. `cpu.usage_percent`. */
  readonly name: string;
  readonly unit: string;
  readonly kind: MetricKind;
  readonly merge: MetricMerge;
  readonly description: string;
}

/** One value of one series at one tick. A value that could not be read has no sample. */
export interface MetricSample {
  readonly name: string;
  readonly labels: Labels;
  readonly value: number;
}

/** One method and route over one minute, on one instance. */
export interface RouteMinute {
  readonly method: string;
  /** Route template, `__unknown__` for 404s, or `__overflow__` beyond the cap. */
  readonly route: string;
  readonly requests: number;
  /** Answers of 500 and above. */
  readonly serverErrors: number;
  /** Answers of 400 to 499. */
  readonly clientErrors: number;
  /** Connections that ended before the answer did; not in the latencies. */
  readonly aborted: number;
  readonly sumMs: number;
  readonly maxMs: number;
  /** HDR histogram of latencies in microseconds, in hdr-histogram-js's compressed V2 encoding. */
  readonly sketch: Uint8Array;
}

/** All that one collection tick leaves to be stored. */
export interface TickRecord {
  /** The point of the interval grid, epoch milliseconds. */
  readonly atMs: number;
  readonly intervalMs: number;
  readonly instance: string;
  /** New with every start of the process. */
  readonly bootId: string;
  /** Grows with every tick of a boot: tells a tick that a clock set back repeats from one written twice. */
  readonly sequence: number;
  readonly snapshot: Snapshot;
  /** The same values, flat. */
  readonly samples: readonly MetricSample[];
  /** The tick started more than half an interval late, or the wall clock jumped since the last one. */
  readonly marks: { readonly lateMs: number; readonly clockJumpMs: number };
}

/** The document of `GET /monitoring/metrics/current`. A value that cannot be read is null, never 0. */
export interface Snapshot {
  readonly at: string;
  readonly instance: string;
  readonly cpu: {
    /** Percent of all cores, or of the container's quota. */
    readonly usage: number | null;
    readonly load: readonly [number | null, number | null, number | null];
    readonly cores: number | null;
    readonly frequencyMhz: number | null;
  };
  /** Bytes, except `percentage`. */
  readonly memory: {
    readonly used: number | null;
    readonly total: number | null;
    readonly percentage: number | null;
    readonly available: number | null;
    readonly swapUsed: number | null;
    readonly swapTotal: number | null;
    readonly limitBytes: number | null;
    readonly cachedBytes: number | null;
  };
  readonly disk: readonly DiskSnapshot[];
  readonly network: {
    readonly receivedBytesPerSecond: number | null;
    readonly sentBytesPerSecond: number | null;
    readonly receivedPacketsPerSecond: number | null;
    readonly sentPacketsPerSecond: number | null;
    readonly errorsPerSecond: number | null;
  };
  readonly process: {
    readonly rssBytes: number | null;
    readonly heapUsedBytes: number | null;
    readonly heapLimitBytes: number | null;
    readonly eventLoopDelayP99Ms: number | null;
    /** 0 to 1. */
    readonly eventLoopUtilization: number | null;
    readonly handles: number | null;
    readonly threads: number | null;
    /** Open HTTP connections. */
    readonly connections: number | null;
    readonly uptimeSeconds: number | null;
  };
  readonly requests: {
    /** Answered since the process started. */
    readonly total: number;
    /** Answers of the last 60 to 70 s, on which the figures below stand: a p99 of 20 answers says little. */
    readonly sampleCount: number;
    readonly perMinute: number | null;
    readonly avgResponseTime: number | null;
    /** Percent of answers of 500 and above. */
    readonly errorRate: number | null;
    /** Percent of answers of 400 to 499. */
    readonly clientErrorRate: number | null;
    readonly p95: number | null;
    readonly p99: number | null;
    readonly active: number;
  };
  readonly database: {
    readonly connections: number | null;
    readonly activeQueries: number | null;
    readonly slowQueries: number | null;
    readonly latencyMs: number | null;
    readonly poolSize: number | null;
    readonly poolWaiting: number | null;
  } | null;
  /** Null until the cache module is there; likewise `sockets`. */
  readonly cache: Readonly<
    Record<'hitRate' | 'missRate' | 'evictions' | 'entries' | 'bytes', number | null>
  > | null;
  readonly sockets: Readonly<Record<'connections' | 'rooms', number | null>> | null;
  readonly jobs: Readonly<Record<'waiting' | 'active' | 'failed', number | null>> | null;
  /** Distinct users in 5 minutes, over all instances. */
  readonly users: { readonly activeNow: number | null };
  /** Last value of each business gauge, by its name without the `business.` prefix. */
  readonly business: Readonly<Record<string, number>>;
}

export interface DiskSnapshot {
  readonly mount: string;
  readonly usedBytes: number | null;
  readonly totalBytes: number | null;
  readonly percentage: number | null;
  readonly readBytesPerSecond: number | null;
  readonly writeBytesPerSecond: number | null;
  readonly readsPerSecond: number | null;
  readonly writesPerSecond: number | null;
}
