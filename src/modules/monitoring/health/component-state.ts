import type { CheckOutcome, ComponentStatus } from './health.types.js';

/** How many results in a row it takes to change one's mind. */
export interface TransitionPolicy {
  readonly failuresToDown: number;
  readonly passesToUp: number;
}

/** What is known of a component after its last check. Instants are epoch milliseconds. */
export interface ComponentState {
  readonly status: ComponentStatus;
  readonly sinceMs: number | null;
  readonly checkedAtMs: number | null;
  readonly consecutiveFailures: number;
  readonly consecutivePasses: number;
  readonly latencyMs: number | null;
  readonly errorCode?: string;
  /** When the run of failures, or of passes after failures, began: a transition is dated back to it. */
  readonly streakStartMs: number | null;
}

export const UNSEEN: ComponentState = {
  status: 'unknown',
  sinceMs: null,
  checkedAtMs: null,
  consecutiveFailures: 0,
  consecutivePasses: 0,
  latencyMs: null,
  streakStartMs: null,
};

/** The state after one more result: down after N failures in a row, up after M passes in a row. */
export function observe(
  before: ComponentState,
  outcome: CheckOutcome,
  atMs: number,
  policy: TransitionPolicy,
): ComponentState {
  const failed = outcome.status === 'down';
  const continues =
    before.streakStartMs !== null && (failed ? before.consecutiveFailures > 0 : before.consecutivePasses > 0);
  const streakStartMs = continues ? before.streakStartMs : atMs;
  const consecutiveFailures = failed ? before.consecutiveFailures + 1 : 0;
  const consecutivePasses = failed ? 0 : before.consecutivePasses + 1;
  const counted = failed
    ? consecutiveFailures >= policy.failuresToDown
    : before.status !== 'down' || consecutivePasses >= policy.passesToUp;
  const status = counted ? outcome.status : before.status;
  const changed = status !== before.status;
  // From up to degraded the streak of passes goes on, so the change is dated by this result itself.
  const crossed = failed || before.status === 'down' || before.status === 'unknown';
  return {
    status,
    sinceMs: changed ? (crossed ? streakStartMs : atMs) : before.sinceMs,
    checkedAtMs: atMs,
    consecutiveFailures,
    consecutivePasses,
    latencyMs: outcome.latencyMs,
    ...(outcome.errorCode !== undefined && { errorCode: outcome.errorCode }),
    streakStartMs,
  };
}
