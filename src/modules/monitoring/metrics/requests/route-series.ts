import { LatencyHistogram } from './latency-histogram.js';

/** Upper bounds of the Prometheus histogram in seconds; the last bucket, +Inf, is implied. */
export const DURATION_BUCKETS_SECONDS = [
  0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30,
] as const;

const BOUNDS_MS = Float64Array.from(DURATION_BUCKETS_SECONDS, (seconds) => seconds * 1000);
const BUCKETS = BOUNDS_MS.length + 1;
/** 1xx to 5xx. */
const CLASSES = 5;

/** One method and route as the server knows them; lives as long as the route. */
export interface Endpoint {
  readonly method: string;
  readonly route: string;
  /** Where it is counted now; absent before its first request, after an eviction and beyond the cap. */
  series: RouteSeries | undefined;
}

/** Answers of one status class since the series began, for Prometheus. */
export interface ClassTotals {
  /** `2xx` … */
  readonly statusClass: string;
  readonly requests: number;
  readonly sumSeconds: number;
  /** Cumulative over `DURATION_BUCKETS_SECONDS`, as Prometheus wants them. */
  readonly buckets: readonly number[];
}

/** What a series gathered since the last drain. */
export class MinuteCounts {
  requests = 0;
  serverErrors = 0;
  clientErrors = 0;
  aborted = 0;
  sumMs = 0;
  maxMs = 0;
  readonly latencies = new LatencyHistogram();

  get isEmpty(): boolean {
    return this.requests === 0 && this.aborted === 0;
  }

  add(other: MinuteCounts): void {
    this.requests += other.requests;
    this.serverErrors += other.serverErrors;
    this.clientErrors += other.clientErrors;
    this.aborted += other.aborted;
    this.sumMs += other.sumMs;
    this.maxMs = Math.max(this.maxMs, other.maxMs);
    this.latencies.add(other.latencies);
  }
}

/** The counts of one method and route: of the running minute, and since the series began. */
export class RouteSeries {
  minute = new MinuteCounts();
  aborted = 0;
  lastSeenMs = 0;
  private readonly buckets = new Float64Array(CLASSES * BUCKETS);
  private readonly sumsMs = new Float64Array(CLASSES);

  constructor(readonly endpoint: Endpoint) {}

  record(status: number, durationMs: number, nowMs: number): void {
    const { minute } = this;
    minute.requests += 1;
    if (status >= 500) minute.serverErrors += 1;
    else if (status >= 400) minute.clientErrors += 1;
    minute.sumMs += durationMs;
    if (durationMs > minute.maxMs) minute.maxMs = durationMs;
    minute.latencies.record(durationMs);
    const group = classOf(status);
    this.buckets[group * BUCKETS + bucketOf(durationMs)]! += 1;
    this.sumsMs[group]! += durationMs;
    this.lastSeenMs = nowMs;
  }

  recordAborted(nowMs: number): void {
    this.minute.aborted += 1;
    this.aborted += 1;
    this.lastSeenMs = nowMs;
  }

  /** Hands out what was gathered since the last call and starts anew. */
  takeMinute(): MinuteCounts {
    const { minute } = this;
    this.minute = new MinuteCounts();
    return minute;
  }

  /** Only the status classes that occurred. */
  totals(): ClassTotals[] {
    return Array.from({ length: CLASSES }, (_, group) => this.totalsOf(group)).filter(
      ({ requests }) => requests > 0,
    );
  }

  private totalsOf(group: number): ClassTotals {
    let requests = 0;
    const cumulative: number[] = [];
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      requests += this.buckets[group * BUCKETS + bucket]!;
      if (bucket < BOUNDS_MS.length) cumulative.push(requests);
    }
    return {
      statusClass: `${group + 1}xx`,
      requests,
      sumSeconds: this.sumsMs[group]! / 1000,
      buckets: cumulative,
    };
  }
}

function classOf(status: number): number {
  return Math.min(CLASSES, Math.max(1, (status / 100) | 0)) - 1;
}

/** Twelve comparisons at most, and most answers end at the first. */
function bucketOf(ms: number): number {
  let bucket = 0;
  while (bucket < BOUNDS_MS.length && ms > BOUNDS_MS[bucket]!) bucket++;
  return bucket;
}
