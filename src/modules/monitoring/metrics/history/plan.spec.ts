import fc from 'fast-check';
import { planOf, type TierOffer } from './plan.js';

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const NOW = Date.UTC(2026, 10, 20, 10, 30, 7);

const OFFERS: readonly TierOffer[] = [
  { tier: 'raw', unitMs: 15 * SECOND, keptMs: 2 * DAY },
  { tier: 'minute', unitMs: MINUTE, keptMs: 30 * DAY },
  { tier: 'hour', unitMs: HOUR, keptMs: 731 * DAY },
];

const plan = (rangeMs: number, points: number, agoMs = 0) =>
  planOf(OFFERS, NOW - agoMs - rangeMs, NOW - agoMs, points, NOW);

describe(planOf.name, () => {
  it.each([
    ['an hour in 300 points: every tick', HOUR, 300, 0, 'raw', 15 * SECOND],
    ['a day in 300 points: five minutes', DAY, 300, 0, 'minute', 5 * MINUTE],
    ['30 days in 300 points: three hours', 30 * DAY - MINUTE, 300, 0, 'hour', 3 * HOUR],
    ['a minute in 2,000 points: no finer than ticks', MINUTE, 2000, 0, 'raw', 15 * SECOND],
    ['an hour of last week: ticks are gone', HOUR, 300, 7 * DAY, 'minute', MINUTE],
    ['an hour of last spring: minutes are gone', HOUR, 300, 200 * DAY, 'hour', HOUR],
    ['before anything is kept: the coarsest', HOUR, 300, 800 * DAY, 'hour', HOUR],
  ])('%s', (_, rangeMs, points, agoMs, tier, stepMs) => {
    expect(plan(rangeMs, points, agoMs)).toMatchObject({ tier, stepMs });
  });

  it('never gives more points than asked for, nor a step that splits a bucket', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 731 * DAY }),
        fc.integer({ min: 2, max: 2000 }),
        fc.integer({ min: 0, max: 100 * DAY }),
        (rangeMs, points, agoMs) => {
          const fromMs = NOW - agoMs - rangeMs;
          const toMs = NOW - agoMs;
          const { stepMs, unitMs } = planOf(OFFERS, fromMs, toMs, points, NOW);
          expect(stepMs % unitMs).toBe(0);
          expect(Math.floor((toMs - 1) / stepMs) - Math.floor(fromMs / stepMs) + 1).toBeLessThanOrEqual(
            points,
          );
        },
      ),
    );
  });
});
