import fc from 'fast-check';
import { judge, PENDING_MS, WINDOW_MS, type AttemptLog } from './attempt-log.js';

const NOW = 1_800_000_000_000;
const failures = (count: number, atMs: number): number[] => Array.from({ length: count }, (_, i) => atMs + i);
const log = (failedAtMs: number[], pendingAtMs: number[] = []): AttemptLog => ({ failedAtMs, pendingAtMs });

describe(judge.name, () => {
  it('admits the attempt after max - 1 failures and refuses the one after max', () => {
    expect(judge(log(failures(9, NOW - 1_000)), NOW, 10).outcome).toBe('admitted');
    expect(judge(log(failures(10, NOW - 1_000)), NOW, 10).outcome).toBe('refused');
  });

  it('says how long until the oldest decisive failure is a minute old, and admits then', () => {
    const known = log(failures(10, NOW - 20_000));
    expect(judge(known, NOW, 10)).toEqual({ outcome: 'refused', retryAfterMs: 40_000 });
    expect(judge(known, NOW + 39_999, 10).outcome).toBe('refused');
    expect(judge(known, NOW + 40_000, 10).outcome).toBe('admitted');
  });

  it('lets nobody through between two windows: any minute holds at most the limit', () => {
    const known = log([...failures(5, NOW - 59_000), ...failures(5, NOW - 1_000)]);
    expect(judge(known, NOW, 10).outcome).toBe('refused');
  });

  it('neither refuses nor admits while those under way could reach the limit', () => {
    expect(judge(log(failures(7, NOW - 5_000), [NOW - 3, NOW - 2, NOW - 1]), NOW, 10).outcome).toBe('busy');
  });

  it('counts an attempt that was never settled as failed', () => {
    const pending = failures(10, NOW - PENDING_MS - 100);
    expect(judge(log([], pending), NOW, 10).outcome).toBe('refused');
    expect(judge(log([], pending), NOW + WINDOW_MS, 10).outcome).toBe('admitted');
  });

  it('names attempts of one millisecond apart', () => {
    const first = judge(log([]), NOW, 10);
    const second = first.outcome === 'admitted' && judge(first.log, NOW, 10);
    expect(second).toMatchObject({ outcome: 'admitted', atMs: NOW + 1 });
  });

  it('never admits beyond the limit, and never stores more than it, whatever came before', () => {
    const instants = fc.array(fc.integer({ min: NOW - 2 * WINDOW_MS, max: NOW }), { maxLength: 40 });
    fc.assert(
      fc.property(
        instants,
        fc.uniqueArray(fc.integer({ min: NOW - 20_000, max: NOW })),
        (failed, pending) => {
          const verdict = judge(log(failed, pending), NOW, 10);
          if (verdict.outcome !== 'admitted') return;
          expect(verdict.log.failedAtMs.length + verdict.log.pendingAtMs.length).toBeLessThanOrEqual(10);
        },
      ),
    );
  });
});
