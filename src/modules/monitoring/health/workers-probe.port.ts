/** What health asks about the workers of the job queues, over all instances. Bound by the app. */
export abstract class WorkersProbe {
  /** When a worker last finished a heartbeat job, epoch milliseconds; null before the first. */
  abstract lastHeartbeatAtMs(): Promise<number | null>;
  /** How long the oldest waiting job has waited, in milliseconds; 0 when none waits. */
  abstract oldestWaitingAgeMs(): Promise<number>;
}
