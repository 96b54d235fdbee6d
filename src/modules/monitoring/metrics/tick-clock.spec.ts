import { TickClock } from './tick-clock.js';

const INTERVAL_MS = 15_000;

/** A tick clock that already saw one tick, at wall time 1,000,000 and monotonic time 500. */
function afterFirstTick(): TickClock {
  const clock = new TickClock();
  clock.marks({ wallMs: 1_000_000, monotonicMs: 500 }, 0, INTERVAL_MS);
  return clock;
}

const moment = (wallShiftMs: number, monotonicShiftMs: number) => ({
  wallMs: 1_000_000 + wallShiftMs,
  monotonicMs: 500 + monotonicShiftMs,
});

describe(TickClock.name, () => {
  it('marks nothing on a tick in time', () => {
    expect(afterFirstTick().marks(moment(15_003, 15_001), 3, INTERVAL_MS)).toEqual({
      lateMs: 0,
      clockJumpMs: 0,
    });
  });

  it('marks a tick that came more than half an interval late', () => {
    expect(afterFirstTick().marks(moment(23_000, 23_000), 8_000, INTERVAL_MS)).toEqual({
      lateMs: 8_000,
      clockJumpMs: 0,
    });
    expect(afterFirstTick().marks(moment(22_000, 22_000), 7_000, INTERVAL_MS).lateMs).toBe(0);
  });

  it('marks a clock that was set forward as a jump, not as a late tick', () => {
    const marks = afterFirstTick().marks(moment(3_615_000, 15_000), 3_600_000, INTERVAL_MS);
    expect(marks).toEqual({ lateMs: 0, clockJumpMs: 3_600_000 });
  });

  it('marks a clock that was set back', () => {
    const marks = afterFirstTick().marks(moment(-3_585_000, 15_000), 0, INTERVAL_MS);
    expect(marks).toEqual({ lateMs: 0, clockJumpMs: -3_600_000 });
  });

  it('tells both apart when they meet', () => {
    const marks = afterFirstTick().marks(moment(85_000, 25_000), 70_000, INTERVAL_MS);
    expect(marks).toEqual({ lateMs: 10_000, clockJumpMs: 60_000 });
  });

  it('does not take slewing by NTP for a jump', () => {
    expect(afterFirstTick().marks(moment(15_007, 15_000), 0, INTERVAL_MS).clockJumpMs).toBe(0);
  });

  it('marks a jump once', () => {
    const clock = afterFirstTick();
    clock.marks(moment(75_000, 15_000), 0, INTERVAL_MS);
    expect(clock.marks(moment(90_000, 30_000), 0, INTERVAL_MS).clockJumpMs).toBe(0);
  });
});
