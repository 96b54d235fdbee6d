import type { Snapshot } from './metrics.types.js';

/** A collection tick ended. Carries the same document as `GET /monitoring/metrics/current`. */
export class MetricsCollected {
  constructor(
    readonly snapshot: Snapshot,
    /** The point of the interval grid, epoch milliseconds. */
    readonly atMs: number,
  ) {}
}
