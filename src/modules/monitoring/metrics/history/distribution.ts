import { setImmediate as nextTurn } from 'node:timers/promises';
import { LatencySketch } from '../rollup/latency-sketch.js';
import type { HistoryPoint } from './history.store.js';
import type { RouteBucket } from './latency.store.js';
import { floorTo } from './plan.js';

const QUANTILE = /^requests\.p(\d{1,2})_ms$/;
/** The event loop gets its turn after so many sketches, which take about 3 ms. */
const SKETCHES_PER_TURN = 250;

/** Which quantile of the response times a metric is; null for any other metric. */
export function percentileOf(metric: string): number | null {
  const digits = QUANTILE.exec(metric)?.[1];
  return digits === undefined ? null : Number(digits);
}

/**
 * A quantile over time, from the sum of all sketches of a step: `avg` is the quantile of all requests
 * of the step, `min` and `max` are the least and greatest of its buckets (over all instances), `count`
 * is the number of requests. No quantile is ever averaged.
 */
export async function quantilePoints(
  buckets: readonly RouteBucket[],
  percentile: number,
  stepMs: number,
  fromMs: number,
): Promise<HistoryPoint[]> {
  const steps = new Map<number, Map<number, LatencySketch>>();
  for (const [i, { bucketMs, sketch }] of buckets.entries()) {
    const step = entry(steps, floorTo(bucketMs, stepMs), () => new Map<number, LatencySketch>());
    entry(step, bucketMs, () => new LatencySketch()).add(sketch);
    if (i % SKETCHES_PER_TURN === SKETCHES_PER_TURN - 1) await nextTurn();
  }
  const points = [...steps]
    .sort(([a], [b]) => a - b)
    .map(([atMs, step]) => pointOf(Math.max(atMs, fromMs), [...step.values()], percentile));
  return points.filter(({ count }) => count > 0);
}

function pointOf(atMs: number, buckets: readonly LatencySketch[], percentile: number): HistoryPoint {
  const whole = buckets.reduce((sum, bucket) => sum.addSketch(bucket), new LatencySketch());
  const quantiles = buckets.filter(({ count }) => count > 0).map((bucket) => bucket.quantileMs(percentile));
  return {
    atMs,
    min: Math.min(...quantiles),
    avg: whole.quantileMs(percentile),
    max: Math.max(...quantiles),
    count: whole.count,
  };
}

function entry<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  const known = map.get(key);
  if (known !== undefined) return known;
  const made = make();
  map.set(key, made);
  return made;
}
