import type { RouteMinute, Snapshot, TickRecord } from './metrics.types.js';

/**
 * Where collected metrics are kept. The collector hands over one record at a time, in order, and
 * repeats a record whose outcome it does not know (a connection cut mid-reply): every method must
 * therefore be idempotent by its key. A rejected promise means "keep it and try again later".
 */
export abstract class MetricsSink {
  /** Keeps one tick, in one statement. Key: (instance, atMs); a second call changes nothing. */
  abstract store(record: TickRecord): Promise<void>;

  /**
   * Keeps what the routes did in one minute. Key: (instance, bootId, minute, method, route); a second
   * call changes nothing. A process that stops writes its last minute incomplete, and its successor of
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
