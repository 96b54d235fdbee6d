/** Over a shorter time a rate would be made of rounding: `/proc` counts in steps of 10 ms. */
const LEAST_ELAPSED_MS = 250;

/** Running totals by the name of what they belong to, e.g. of each network interface. */
export type Counters = ReadonlyMap<string, readonly number[]>;

/**
 * What a counter grew by. One that fell began anew (a device that was plugged in again, a wrap of
 * its register): it has grown from zero.
 */
export function growth(before: number, now: number): number {
  return now < before ? now : now - before;
}

/**
 * Turns running totals into rates per second over the real elapsed time. The first reading of each
 * name gives none.
 */
export class CounterRates {
  private previous: { readonly atMs: number; readonly counters: Counters } | undefined;
  private rates: Counters = new Map();

  /** @param atMs monotonic time of this reading */
  update(counters: Counters, atMs: number): Counters {
    const { previous } = this;
    if (previous && atMs - previous.atMs < LEAST_ELAPSED_MS) return this.rates;
    this.previous = { atMs, counters };
    this.rates = previous ? ratesBetween(previous.counters, counters, atMs - previous.atMs) : new Map();
    return this.rates;
  }
}

function ratesBetween(before: Counters, now: Counters, elapsedMs: number): Counters {
  const rates = new Map<string, readonly number[]>();
  for (const [name, totals] of now) {
    const earlier = before.get(name);
    if (earlier)
      rates.set(
        name,
        totals.map((total, i) => (growth(earlier[i] ?? 0, total) * 1000) / elapsedMs),
      );
  }
  return rates;
}
