import fc from 'fast-check';
import { uptimeOf, type StatusInterval } from './uptime.js';

const seen = (
  status: StatusInterval['status'],
  startMs: number,
  endMs: number,
  instance: string | null = 'a',
): StatusInterval => ({ component: 'redis', instance, status, startMs, endMs });
const over = (fromMs: number, toMs: number, ...intervals: StatusInterval[]) =>
  uptimeOf('redis', intervals, {
    fromMs,
    toMs,
    firstSeenMs: Math.min(...intervals.map(({ startMs }) => startMs)),
  });

describe(uptimeOf.name, () => {
  it('counts what nobody watched as unknown, not as up', () =>
    expect(over(0, 100, seen('up', 0, 40), seen('up', 60, 100))).toMatchObject({
      upMs: 80,
      unknownMs: 20,
      downMs: 0,
      upPercent: 80,
      incidents: 0,
      mttrMs: null,
    }));

  it('begins when the component was first seen', () =>
    expect(over(0, 100, seen('up', 50, 100))).toMatchObject({ upMs: 50, unknownMs: 0, upPercent: 100 }));

  it('counts incidents and the mean time to recovery', () =>
    expect(
      over(
        0,
        100,
        seen('up', 0, 10),
        seen('down', 10, 20),
        seen('up', 20, 50),
        seen('down', 50, 80),
        seen('degraded', 80, 100),
      ),
    ).toMatchObject({ downMs: 40, degradedMs: 20, incidents: 2, mttrMs: 20 }));

  it('takes an outage during which we were away ourselves for one', () =>
    expect(over(0, 100, seen('down', 0, 10), seen('down', 40, 50), seen('up', 50, 100))).toMatchObject({
      downMs: 20,
      unknownMs: 30,
      incidents: 1,
      mttrMs: 50,
    }));

  it('cuts at the window', () =>
    expect(over(50, 60, seen('up', 0, 55), seen('down', 55, 100))).toMatchObject({
      upMs: 5,
      downMs: 5,
      incidents: 1,
      mttrMs: null,
      upPercent: 50,
    }));

  it('is degraded while instances disagree and down when all say so', () =>
    expect(
      over(
        0,
        30,
        seen('up', 0, 10, 'a'),
        seen('down', 10, 30, 'a'),
        seen('up', 0, 20, 'b'),
        seen('down', 20, 30, 'b'),
      ),
    ).toMatchObject({ upMs: 10, degradedMs: 10, downMs: 10, incidents: 1 }));

  it('takes the worse of two overlapping intervals of one watcher, whose clock was set back', () =>
    expect(over(0, 10, seen('up', 0, 10), seen('down', 5, 10))).toMatchObject({ upMs: 5, downMs: 5 }));

  it('always accounts for the whole window', () => {
    const intervals = fc.array(
      fc.record({
        status: fc.constantFrom('up' as const, 'degraded' as const, 'down' as const),
        startMs: fc.nat(1000),
        length: fc.nat(300),
        instance: fc.constantFrom('a', 'b', null),
      }),
    );
    fc.assert(
      fc.property(intervals, fc.nat(1000), fc.nat(500), (list, fromMs, length) => {
        const rows = list.map(({ length: ms, ...rest }) => ({
          ...rest,
          component: 'x',
          endMs: rest.startMs + ms,
        }));
        const { upMs, degradedMs, downMs, unknownMs } = uptimeOf('x', rows, {
          fromMs,
          toMs: fromMs + length,
          firstSeenMs: 0,
        });
        expect(upMs + degradedMs + downMs + unknownMs).toBe(length);
      }),
    );
  });
});
