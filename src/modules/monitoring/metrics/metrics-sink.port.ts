import type { RouteMinute, Snapshot, TickRecord } from './metrics.types.js';

/**
 * Where collected metrics are kept. The collector hands over one record at a time, in order, and
 * repeats a record whose outcome it does not know (a connection cut mid-reply): every method must
 * therefore be idempotent by its key. A rejected promise means "keep it and try again later".
 */
export abstract class MetricsSink {
  /**
   * Keeps one tick, in one statement. Key: (instance, atMs, bootId, sequence); a second call changes
   * nothing. A clock set back repeats points of the grid: ticks of another sequence are kept beside.
   */
  abstract store(record: TickRecord): Promise<void>;

  /**
   * Keeps what the routes did in one minute. Key: (instance, bootId, minute) and the rows themselves,
   * so a second call with the same rows changes nothing, while other rows of the same minute, which a
   * clock set back repeats, count besides. A process that stops writes its last minute incomplete, and its successor of
   * the same instance id writes the rest of that minute under another boot id: both count.
   */
  abstract storeRouteMinutes(
    instance: string,
    minuteStartMs: number,
    rows: readonly RouteMinute[],
    bootId: string,
  ): Promise<void>;

  /** The newest stored snapshot of an instance; null when none is known by that name. */
  abstract latest(instance: string): Promise<Snapshot | null>;
}
