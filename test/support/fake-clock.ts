import { Clock } from '../../src/core/clock/clock.js';

/** Time that moves only when told to. Does not start at 0: a zero hides wrong waits. */
export class FakeClock extends Clock {
  private wallMs = Date.UTC(2026, 0, 15, 10, 0, 0);
  private monoMs = 5_000_000;

  now(): number {
    return this.wallMs;
  }

  monotonicMs(): number {
    return this.monoMs;
  }

  advance(ms: number): void {
    this.wallMs += ms;
    this.monoMs += ms;
  }

  /** The wall clock is set, as by NTP or an operator; monotonic time does not move. */
  jump(ms: number): void {
    this.wallMs += ms;
  }
}
