import { encodeIntoCompressedBase64 } from 'hdr-histogram-js';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { RouteMinute } from '../metrics.types.js';
import type { DrainedSeries } from './request-recorder.js';
import { ANY_METHOD, OVERFLOW_ROUTE } from './request-recorder.js';
import { MinuteCounts } from './route-series.js';

/** Rows one instance writes a minute, `__overflow__` besides: the busiest routes keep their own. */
export const MAX_ROUTES_PER_MINUTE = 100;

/**
 * The rows of one minute, the least busy routes beyond the cap folded into `__overflow__`. Encoding
 * one sketch takes about 0.1 ms, so the event loop gets its turn after each.
 */
export async function toRouteMinutes(drained: readonly DrainedSeries[]): Promise<RouteMinute[]> {
  const rows: RouteMinute[] = [];
  for (const { endpoint, counts } of foldLeastBusy(drained)) {
    rows.push(toRow(endpoint.method, endpoint.route, counts));
    await nextTurn();
  }
  return rows;
}

function foldLeastBusy(drained: readonly DrainedSeries[]): DrainedSeries[] {
  const isOverflow = ({ endpoint }: DrainedSeries) => endpoint.route === OVERFLOW_ROUTE;
  const named = drained
    .filter((one) => !isOverflow(one))
    .sort((a, b) => b.counts.requests - a.counts.requests);
  const folded = [...named.slice(MAX_ROUTES_PER_MINUTE), ...drained.filter(isOverflow)];
  if (folded.length === 0) return named;
  const counts = new MinuteCounts();
  for (const one of folded) counts.add(one.counts);
  const overflow = { endpoint: { method: ANY_METHOD, route: OVERFLOW_ROUTE, series: undefined }, counts };
  return [...named.slice(0, MAX_ROUTES_PER_MINUTE), overflow];
}

function toRow(method: string, route: string, counts: MinuteCounts): RouteMinute {
  const { requests, serverErrors, clientErrors, aborted, sumMs, maxMs, latencies } = counts;
  const sketch = Buffer.from(encodeIntoCompressedBase64(latencies.toHdr()), 'base64');
  return { ...{ method, route, requests, serverErrors, clientErrors, aborted, sumMs, maxMs }, sketch };
}
