import fc from 'fast-check';
import { scoreOf, type ScoredComponent } from './health-score.js';
import type { ComponentStatus } from './health.types.js';

const BADNESS: readonly ComponentStatus[] = ['up', 'degraded', 'unknown', 'down'];
const OVERALL = ['healthy', 'warning', 'critical', 'down'];
const part = (name: string, status: ComponentStatus, critical = false): ScoredComponent => ({
  name,
  status,
  critical,
});

const components = fc.uniqueArray(
  fc.record({
    name: fc.constantFrom(
      'database',
      'redis',
      's3',
      'workers',
      'api',
      ...Array.from({ length: 12 }, (_, i) => `check:${i}`),
    ),
    status: fc.constantFrom(...BADNESS),
    critical: fc.boolean(),
  }),
  { selector: ({ name }) => name, minLength: 1 },
);

describe(scoreOf.name, () => {
  it('is 100 and healthy when all is up', () =>
    expect(scoreOf([part('database', 'up', true), part('redis', 'up')])).toEqual({
      status: 'healthy',
      score: 100,
      deductions: [],
    }));

  it('is down with the database, whatever else is well', () =>
    expect(scoreOf([part('database', 'down', true), part('api', 'up', true)])).toEqual({
      status: 'down',
      score: 10,
      deductions: [
        { reason: 'database is down', points: 60 },
        { reason: 'capped at 10 while the status is down', points: 30 },
      ],
    }));

  it.each([
    [[part('database', 'up', true), part('check:pay', 'down', true)], 'critical', 40],
    [[part('database', 'up', true), part('redis', 'down')], 'warning', 85],
    [[part('database', 'degraded', true)], 'warning', 85],
    [[part('database', 'unknown', true)], 'critical', 40],
    [[part('database', 'up', true), part('s3', 'unknown')], 'warning', 92],
  ] as const)('takes %j for %s at %d', (parts, status, score) =>
    expect(scoreOf(parts)).toMatchObject({ status, score }),
  );

  it('lets any number of optional parts take 40 points at most', () =>
    expect(
      scoreOf([
        part('database', 'up', true),
        ...Array.from({ length: 200 }, (_, i) => part(`check:${i}`, 'down')),
      ]),
    ).toMatchObject({ status: 'warning', score: 60 }));

  it('accounts for every point, in 0 to 100', () => {
    fc.assert(
      fc.property(components, (parts) => {
        const { score, deductions } = scoreOf(parts);
        expect(score).toBe(100 - deductions.reduce((sum, { points }) => sum + points, 0));
        expect(score).toBeGreaterThanOrEqual(0);
      }),
    );
  });

  it('never rises when a part gets worse', () => {
    fc.assert(
      fc.property(components, fc.nat(), fc.nat(), (parts, which, how) => {
        const i = which % parts.length;
        const worse = BADNESS.slice(BADNESS.indexOf(parts[i]!.status));
        const after = parts.map((one, at) =>
          at === i ? { ...one, status: worse[how % worse.length]! } : one,
        );
        const [before, then] = [scoreOf(parts), scoreOf(after)];
        expect(then.score).toBeLessThanOrEqual(before.score);
        expect(OVERALL.indexOf(then.status)).toBeGreaterThanOrEqual(OVERALL.indexOf(before.status));
      }),
      { numRuns: 2000 },
    );
  });
});
