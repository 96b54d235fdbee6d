import type { TickRecord } from './metrics.types.js';

/** The wall clock drifts and is slewed by less between two ticks; more is a jump. */
const LEAST_JUMP_MS = 500;

export interface Moment {
  readonly wallMs: number;
  readonly monotonicMs: number;
}

/**
 * Tells a wall clock that was set from a tick that came late: only monotonic time says how long it
 * really was.
 */
export class TickClock {
  private previous: Moment | undefined;

  /** @param lateMs how long after its grid point the tick started, by the wall clock */
  marks(now: Moment, lateMs: number, intervalMs: number): TickRecord['marks'] {
    const jumpMs = this.previous
      ? now.wallMs - this.previous.wallMs - (now.monotonicMs - this.previous.monotonicMs)
      : 0;
    this.previous = now;
    const clockJumpMs = Math.abs(jumpMs) >= LEAST_JUMP_MS ? Math.round(jumpMs) : 0;
    const reallyLateMs = Math.max(0, lateMs - Math.max(0, clockJumpMs));
    return { lateMs: reallyLateMs > intervalMs / 2 ? Math.round(reallyLateMs) : 0, clockJumpMs };
  }
}
