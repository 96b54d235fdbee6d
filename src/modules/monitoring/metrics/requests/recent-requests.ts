import { LatencyHistogram } from './latency-histogram.js';

const SLICE_MS = 10_000;
/** Six full slices and the one that is being filled: 60 to 70 s. */
const SLICES = 7;

/** What all routes together did in the last 60 to 70 s. */
export interface RecentSummary {
  /** Answers in the window, whole event streams and aborted requests not among them. */
  readonly requests: number;
  /** How long the window really is: shorter in the first minute of a process. */
  readonly windowMs: number;
  readonly serverErrors: number;
  readonly clientErrors: number;
  /** Null without an answer in the window, likewise the quantiles. */
  readonly avgMs: number | null;
  readonly p95Ms: number | null;
  readonly p99Ms: number | null;
}

class Slice {
  requests = 0;
  serverErrors = 0;
  clientErrors = 0;
  sumMs = 0;
  number = -1;
  readonly latencies = new LatencyHistogram();

  restart(number: number): void {
    this.requests = this.serverErrors = this.clientErrors = this.sumMs = 0;
    this.number = number;
    this.latencies.clear();
  }
}

/**
 * The last minute of all routes, in seven slices of 10 s whose histograms are merged when somebody
 * asks: quantiles of slices are never averaged.
 */
export class RecentRequests {
  private readonly slices = Array.from({ length: SLICES }, () => new Slice());

  constructor(private readonly startedMs: number) {}

  /** @param nowMs monotonic, as everywhere in this class */
  record(status: number, durationMs: number, nowMs: number): void {
    const slice = this.sliceAt(nowMs);
    slice.requests += 1;
    slice.sumMs += durationMs;
    if (status >= 500) slice.serverErrors += 1;
    else if (status >= 400) slice.clientErrors += 1;
    slice.latencies.record(durationMs);
  }

  summary(nowMs: number): RecentSummary {
    const merged = new Slice();
    for (const slice of this.current(nowMs)) {
      merged.requests += slice.requests;
      merged.serverErrors += slice.serverErrors;
      merged.clientErrors += slice.clientErrors;
      merged.sumMs += slice.sumMs;
      merged.latencies.add(slice.latencies);
    }
    const { requests, serverErrors, clientErrors, sumMs } = merged;
    const quantile = quantiles(merged.latencies, requests);
    return {
      ...{ requests, serverErrors, clientErrors },
      windowMs: Math.min(nowMs - this.startedMs, (SLICES - 1) * SLICE_MS + (nowMs % SLICE_MS)),
      avgMs: requests > 0 ? sumMs / requests : null,
      p95Ms: quantile(95),
      p99Ms: quantile(99),
    };
  }

  private sliceAt(nowMs: number): Slice {
    const number = Math.floor(nowMs / SLICE_MS);
    const slice = this.slices[number % SLICES]!;
    if (slice.number !== number) slice.restart(number);
    return slice;
  }

  private current(nowMs: number): Slice[] {
    const oldest = Math.floor(nowMs / SLICE_MS) - SLICES + 1;
    return this.slices.filter((slice) => slice.number >= oldest);
  }
}

function quantiles(latencies: LatencyHistogram, count: number): (percent: number) => number | null {
  if (count === 0) return () => null;
  const hdr = latencies.toHdr();
  return (percent) => hdr.getValueAtPercentile(percent) / 1000;
}
