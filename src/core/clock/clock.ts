/** Where time comes from. Tests replace it; nothing else in the source reads the clock. */
export abstract class Clock {
  /** Wall-clock time in epoch milliseconds: a label, never the basis of a duration. */
  abstract now(): number;
  /** Milliseconds from an arbitrary start that never jump: the basis of every duration. */
  abstract monotonicMs(): number;
}

export class SystemClock extends Clock {
  now(): number {
    return Date.now();
  }

  monotonicMs(): number {
    return performance.now();
  }
}
