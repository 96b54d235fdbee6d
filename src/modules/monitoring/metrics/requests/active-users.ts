/** Distinct users that one instance remembers; beyond it the one seen longest ago is forgotten. */
export const MAX_ACTIVE_USERS = 10_000;
/** A user seen again so soon need not move to the end of the queue. */
const REFRESH_MS = 5_000;

/** Who called lately, by user id. Bounded; a user costs about 100 bytes. */
export class ActiveUsers {
  /** In the order in which they were last seen, give or take `REFRESH_MS`. */
  private readonly lastSeenMs = new Map<string, number>();

  see(userId: string, nowMs: number): void {
    const seenMs = this.lastSeenMs.get(userId);
    if (seenMs !== undefined) {
      if (nowMs - seenMs < REFRESH_MS) return;
      this.lastSeenMs.delete(userId);
    } else if (this.lastSeenMs.size >= MAX_ACTIVE_USERS) {
      this.forgetOldest();
    }
    this.lastSeenMs.set(userId, nowMs);
  }

  /** @param sinceMs monotonic; exact to 5 s */
  since(sinceMs: number): string[] {
    const ids: string[] = [];
    for (const [id, seenMs] of this.lastSeenMs) if (seenMs >= sinceMs) ids.push(id);
    return ids;
  }

  private forgetOldest(): void {
    for (const id of this.lastSeenMs.keys()) {
      this.lastSeenMs.delete(id);
      return;
    }
  }
}
