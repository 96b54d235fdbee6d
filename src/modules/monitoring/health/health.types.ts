/** What a component is, as far as anybody has looked. */
export type ComponentStatus = 'up' | 'degraded' | 'down' | 'unknown';
export type OverallStatus = 'healthy' | 'warning' | 'critical' | 'down';

/** What one run of a check found. */
export interface CheckOutcome {
  readonly status: 'up' | 'degraded' | 'down';
  readonly latencyMs: number | null;
  /** A stable code such as `TIMEOUT` or `HTTP_503`; never a message, which could hold a host or a password. */
  readonly errorCode?: string;
}

/** A component as `/health/detailed` shows it; instants are epoch milliseconds. */
export interface ComponentView {
  readonly name: string;
  readonly status: ComponentStatus;
  readonly critical: boolean;
  readonly latencyMs: number | null;
  readonly checkedAtMs: number | null;
  readonly ageMs: number | null;
  /** The result is older than two intervals and a time-out: nobody is looking, so the status is unknown. */
  readonly stale: boolean;
  readonly sinceMs: number | null;
  readonly consecutiveFailures: number;
  readonly errorCode?: string;
}
