/** What is known of one client or account, in epoch milliseconds of one clock. */
export interface AttemptLog {
  readonly failedAtMs: readonly number[];
  readonly pendingAtMs: readonly number[];
}

export type Judgement =
  | { readonly outcome: 'admitted'; readonly atMs: number; readonly log: AttemptLog }
  | { readonly outcome: 'refused'; readonly retryAfterMs: number }
  | { readonly outcome: 'busy' };

/** Failures of this last minute count, to the millisecond: no two windows to squeeze a double number between. */
export const WINDOW_MS = 60_000;
/** An attempt that was never settled (its process died) counts as failed after this. */
export const PENDING_MS = 10_000;
export const MAX_FAILURES = { address: 10, account: 100 } as const;

/** May one more attempt be looked at? Pure. */
export function judge(log: AttemptLog, nowMs: number, maxFailures: number): Judgement {
  const current = settleOverdue(log, nowMs);
  const { failedAtMs: failed, pendingAtMs: pending } = current;
  if (failed.length >= maxFailures) {
    // Free again when all but maxFailures - 1 of the failures have left the window.
    const decisive = failed[failed.length - maxFailures] ?? nowMs;
    return { outcome: 'refused', retryAfterMs: decisive + WINDOW_MS - nowMs };
  }
  if (failed.length + pending.length >= maxFailures) return { outcome: 'busy' };
  const atMs = distinctFrom(pending, nowMs);
  return { outcome: 'admitted', atMs, log: { failedAtMs: failed, pendingAtMs: [...pending, atMs] } };
}

/** Forgets what has left the window, and counts overdue attempts as failed. */
function settleOverdue({ failedAtMs, pendingAtMs }: AttemptLog, nowMs: number): AttemptLog {
  const isOverdue = (atMs: number): boolean => atMs <= nowMs - PENDING_MS;
  const failed = [...failedAtMs, ...pendingAtMs.filter(isOverdue)];
  return {
    failedAtMs: failed.filter((atMs) => atMs > nowMs - WINDOW_MS).sort((a, b) => a - b),
    pendingAtMs: pendingAtMs.filter((atMs) => !isOverdue(atMs)),
  };
}

/** The instant names the attempt within its log, so no two pending ones may share it. */
function distinctFrom(pending: readonly number[], nowMs: number): number {
  let atMs = nowMs;
  while (pending.includes(atMs)) atMs += 1;
  return atMs;
}
