import { Injectable, Logger } from '@nestjs/common';
import { Clock } from '../../../../core/index.js';
import { ActiveUsers, type SeenUser } from './active-users.js';
import { RecentRequests, type RecentSummary } from './recent-requests.js';
import { RouteSeries, type Endpoint, type MinuteCounts } from './route-series.js';

/** All requests that no route answered, whatever their path: paths are made up by strangers. */
export const UNKNOWN_ROUTE = '__unknown__';
/** All routes beyond the cap. */
export const OVERFLOW_ROUTE = '__overflow__';
/** Calls that the surrounding program times itself, see `trackRequest`. */
export const TRACKED_ROUTE = '__tracked__';
export const ANY_METHOD = '*';

/** Methods and routes counted apart; each costs 5 to 15 kB. */
export const MAX_SERIES = 500;
/** A route without a request for so long makes place for one that has requests, once the cap is reached. */
export const IDLE_EVICTION_MS = 10 * 60_000;

/** A user counts as active for so long after the last call. */
export const ACTIVE_USER_WINDOW_MS = 5 * 60_000;

/** One series and what it gathered since the last drain. */
export interface DrainedSeries {
  readonly endpoint: Endpoint;
  readonly counts: MinuteCounts;
}

/**
 * Counts every request of this process, by method and route template. Bounded: beyond the cap new
 * routes are counted as `__overflow__` until an idle one makes place, within a minute. All times are
 * monotonic milliseconds.
 */
@Injectable()
export class RequestRecorder {
  private readonly logger = new Logger(RequestRecorder.name);
  private readonly endpoints = new Map<string, Map<string, Endpoint>>();
  private readonly series = new Set<RouteSeries>();
  private readonly overflow = new RouteSeries({
    method: ANY_METHOD,
    route: OVERFLOW_ROUTE,
    series: undefined,
  });
  private readonly recent: RecentRequests;
  private readonly users = new ActiveUsers();
  private capReached = false;
  /** Requests under way. */
  active = 0;
  /** Answered since the start. */
  total = 0;
  /** Of them, answered by routes beyond the cap. */
  overflowed = 0;
  /** How often the counts were taken away to be stored. */
  drains = 0;

  constructor(private readonly clock: Clock) {
    this.recent = new RecentRequests(clock.monotonicMs());
  }

  /** The one endpoint object of a method and route. Routes are templates, so there are few. */
  endpoint(method: string, route: string): Endpoint {
    let byMethod = this.endpoints.get(route);
    if (!byMethod) this.endpoints.set(route, (byMethod = new Map<string, Endpoint>()));
    let endpoint = byMethod.get(method);
    if (!endpoint) byMethod.set(method, (endpoint = { method, route, series: undefined }));
    return endpoint;
  }

  /** An answer that left completely. */
  record(endpoint: Endpoint, status: number, durationMs: number, nowMs: number): void {
    this.total += 1;
    const series = endpoint.series ?? this.place(endpoint);
    if (series === this.overflow) this.overflowed += 1;
    series.record(status, durationMs, nowMs);
    this.recent.record(status, durationMs, nowMs);
  }

  /** A connection that ended before its answer, or an event stream, whose length is no latency. */
  recordAborted(endpoint: Endpoint, nowMs: number): void {
    (endpoint.series ?? this.place(endpoint)).recordAborted(nowMs);
  }

  /** Counts work that did not come through this process's HTTP server. */
  trackRequest(durationMs: number, isError: boolean): void {
    const measured = Number.isFinite(durationMs) && durationMs >= 0;
    if (!measured) throw new RangeError('durationMs must be a number of at least 0');
    this.record(
      this.endpoint(ANY_METHOD, TRACKED_ROUTE),
      isError ? 500 : 200,
      durationMs,
      this.clock.monotonicMs(),
    );
  }

  seeUser(userId: string, nowMs: number): void {
    this.users.see(userId, nowMs);
  }

  /** Users who called this instance in the last five minutes, or a shorter window; at most 10,000. */
  activeUsers(windowMs = ACTIVE_USER_WINDOW_MS): SeenUser[] {
    return this.users.within(windowMs, this.clock.monotonicMs());
  }

  /** All routes together over the last 60 to 70 s. */
  summary(): RecentSummary {
    return this.recent.summary(this.clock.monotonicMs());
  }

  /** Every series there is, for a scrape. */
  allSeries(): readonly RouteSeries[] {
    return [...this.series, this.overflow];
  }

  /** What happened since the last drain, left where it is and still growing. */
  peek(): DrainedSeries[] {
    return this.withTraffic().map(({ endpoint, minute }) => ({ endpoint, counts: minute }));
  }

  /** What happened since the last drain, routes without traffic left out; makes place for waiting routes. */
  drain(): DrainedSeries[] {
    const drained = this.withTraffic().map((series) => ({
      endpoint: series.endpoint,
      counts: series.takeMinute(),
    }));
    this.drains += 1;
    if (this.series.size >= MAX_SERIES) this.evictIdle();
    return drained;
  }

  private withTraffic(): RouteSeries[] {
    return this.allSeries().filter(({ minute }) => !minute.isEmpty);
  }

  private place(endpoint: Endpoint): RouteSeries {
    if (this.series.size >= MAX_SERIES) return this.overflow;
    const series = new RouteSeries(endpoint);
    this.series.add(series);
    endpoint.series = series;
    return series;
  }

  private evictIdle(): void {
    const idleBeforeMs = this.clock.monotonicMs() - IDLE_EVICTION_MS;
    const idle = [...this.series].filter(({ lastSeenMs }) => lastSeenMs <= idleBeforeMs);
    for (const series of idle) {
      series.endpoint.series = undefined;
      this.series.delete(series);
    }
    const what =
      idle.length > 0
        ? `${idle.length} idle ones made place`
        : `further ones are counted as ${OVERFLOW_ROUTE}`;
    if (idle.length > 0 || !this.capReached)
      this.logger.warn(`${MAX_SERIES} routes are counted apart; ${what}`);
    this.capReached = true;
  }
}
