/** How finely history is kept: each tick, or a roll-up of a minute or an hour. */
export type Tier = 'raw' | 'minute' | 'hour';

/** What a tier offers: samples at every `unitMs`, kept for `keptMs`. */
export interface TierOffer {
  readonly tier: Tier;
  readonly unitMs: number;
  readonly keptMs: number;
}

export interface Plan {
  readonly tier: Tier;
  /** Length of the tier's own buckets. */
  readonly unitMs: number;
  /** Distance of the points of the answer: a multiple of the unit, so that no bucket is split. */
  readonly stepMs: number;
  /**
   * Where the ticks come from, if from another tier than the samples that were posted: these are kept
   * as they came for longer than ticks are.
   */
  readonly ticks?: { readonly tier: Tier; readonly unitMs: number };
}

/**
 * Picks the coarsest tier that is fine enough for the points asked for; where the range begins
 * before that tier does, a coarser one. Points are never finer than the samples kept, and never more
 * than asked for.
 * @param offers from fine to coarse, at least one
 */
export function planOf(
  offers: readonly TierOffer[],
  fromMs: number,
  toMs: number,
  points: number,
  nowMs: number,
): Plan {
  const idealMs = (toMs - fromMs) / points;
  const reaching = offers.filter(({ keptMs }) => fromMs >= nowMs - keptMs);
  const candidates = reaching.length > 0 ? reaching : offers.slice(-1);
  const fineEnough = candidates.filter(({ unitMs }) => unitMs <= idealMs);
  const { tier, unitMs } = fineEnough.at(-1) ?? candidates[0] ?? { tier: 'hour', unitMs: 3_600_000 };
  let stepMs = unitMs * Math.max(1, Math.ceil(idealMs / unitMs));
  // Steps lie on a fixed grid, so that points keep their place when a page is refreshed; a range
  // that begins between two of them can touch one step more than its length has.
  while (stepsTouched(fromMs, toMs, stepMs) > points) stepMs += unitMs;
  return { tier, unitMs, stepMs };
}

function stepsTouched(fromMs: number, toMs: number, stepMs: number): number {
  return Math.floor((toMs - 1) / stepMs) - Math.floor(fromMs / stepMs) + 1;
}

export function floorTo(ms: number, unitMs: number): number {
  return Math.floor(ms / unitMs) * unitMs;
}
