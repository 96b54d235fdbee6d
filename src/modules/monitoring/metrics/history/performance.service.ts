import { Injectable } from '@nestjs/common';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { Clock, Instance } from '../../../../core/index.js';
import type { RouteMinute } from '../metrics.types.js';
import { LatencySketch } from '../rollup/latency-sketch.js';
import { byRoute, mergeRoutes, OVERFLOW } from '../rollup/routes.js';
import { RequestRecorder } from '../requests/request-recorder.js';
import { toRouteMinutes } from '../requests/route-minutes.js';
import { LatencyStore, type LatencyRange, type RouteBucket } from './latency.store.js';
import { floorTo } from './plan.js';
import {
  PERFORMANCE_WINDOWS_MS,
  type PerformanceAnswer,
  type PerformanceWindow,
  type RoutePerformance,
} from './performance.dto.js';

const MINUTE_MS = 60_000;
/** An answer is as good as new for this long, and fifty at once cost one. */
const REUSE_MS = 2_000;
/** Answers kept for reuse; `instance` is the caller's text, so their number must have a bound. */
const MAX_REUSED = 32;

interface Answered {
  readonly untilMs: number;
  readonly answer: Promise<PerformanceAnswer>;
}

/** How fast each route answered, over all instances. */
@Injectable()
export class PerformanceService {
  private readonly answered = new Map<string, Answered>();

  constructor(
    private readonly latencies: LatencyStore,
    private readonly clock: Clock,
    private readonly recorder: RequestRecorder,
    private readonly self: Instance,
  ) {}

  /** Highest p95 first. */
  read(window: PerformanceWindow, instance: string | null): Promise<PerformanceAnswer> {
    const key = `${window} ${instance ?? ''}`;
    const nowMs = this.clock.monotonicMs();
    const known = this.answered.get(key);
    if (known && known.untilMs > nowMs) return known.answer;
    const answer = this.compute(window, instance);
    if (this.answered.size >= MAX_REUSED) this.answered.clear();
    this.answered.set(key, { untilMs: nowMs + REUSE_MS, answer });
    // A failure is not kept: the next caller asks anew.
    answer.catch(() => this.answered.delete(key));
    return answer;
  }

  private async compute(window: PerformanceWindow, instance: string | null): Promise<PerformanceAnswer> {
    const windowMs = PERFORMANCE_WINDOWS_MS[window];
    const toMs = this.clock.now();
    // Minutes that began within the window.
    const fromMs = Math.ceil((toMs - windowMs) / MINUTE_MS) * MINUTE_MS;
    const range = { fromMs, toMs, instance, which: 'routes' as const };
    const stored = () => (window === '24h' ? this.latencies.hours(range) : this.latencies.minutes(range));
    const rows =
      instance === null || instance === this.self.id ? await this.withRunningMinute(stored) : await stored();
    const coveredMs = toMs - (await this.firstMs(range, rows));
    const items: RoutePerformance[] = [];
    // A route whose every client went away before the answer has no latency to show.
    for (const route of byRoute(rows.filter(({ requests }) => requests > 0))) {
      items.push(performanceOf(mergeRoutes(route, route[0] ?? OVERFLOW), coveredMs));
      await nextTurn();
    }
    items.sort((a, b) => b.p95Ms - a.p95Ms || b.requests - a.requests);
    return { window, from: new Date(fromMs).toISOString(), to: new Date(toMs).toISOString(), items };
  }

  /**
   * Since when requests were counted, at least a minute ago: the begin of the window, unless the
   * service is younger. One that was idle at first was watched all the same.
   */
  private async firstMs(range: LatencyRange, rows: readonly RouteBucket[]): Promise<number> {
    const watchedMs = (await this.latencies.watchedFromMs(range)) ?? range.toMs;
    return rows.reduce(
      (least, { bucketMs }) => Math.min(least, bucketMs),
      Math.min(watchedMs, range.toMs - MINUTE_MS),
    );
  }

  /**
   * Adds what this instance has counted since its last minute was stored, so that whoever asks right
   * after a request sees it; of the other instances the last stored minute is the newest.
   */
  private async withRunningMinute(read: () => Promise<RouteBucket[]>): Promise<RouteBucket[]> {
    const { drains } = this.recorder;
    const stored = await read();
    // A drain in between has moved the counts to the store.
    if (this.recorder.drains !== drains) return read();
    const bucketMs = floorTo(this.clock.now(), MINUTE_MS);
    const running = await toRouteMinutes(this.recorder.peek());
    return [...stored, ...running.map((row) => ({ ...row, bucketMs }))];
  }
}

function performanceOf(row: RouteMinute, coveredMs: number): RoutePerformance {
  const { method, route, requests, serverErrors, sumMs, maxMs } = row;
  const sketch = LatencySketch.of(row.sketch);
  // A slot of the sketch stands for all its values; none was greater than the greatest.
  const quantile = (percentile: number) => rounded(Math.min(sketch.quantileMs(percentile), maxMs));
  return {
    method,
    route,
    requests,
    requestsPerMinute: rounded((requests * MINUTE_MS) / coveredMs),
    errorPercent: requests === 0 ? 0 : rounded((100 * serverErrors) / requests),
    avgMs: requests === 0 ? 0 : rounded(sumMs / requests),
    p50Ms: quantile(50),
    p95Ms: quantile(95),
    p99Ms: quantile(99),
    maxMs: rounded(maxMs),
  };
}

function rounded(value: number): number {
  return Math.round(value * 1_000) / 1_000;
}
