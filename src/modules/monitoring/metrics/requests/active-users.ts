/** Distinct users that one instance remembers; beyond it the one seen longest ago is forgotten. */
export const MAX_ACTIVE_USERS = 10_000;
/** A user seen again so soon need not move to the end of the queue. */
export const REFRESH_MS = 5_000;

export interface SeenUser {
  readonly id: string;
  /** How long ago, give or take `REFRESH_MS`. */
  readonly ageMs: number;
}

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

  /** Whom it saw in the last `windowMs`; exact to 5 s. */
  within(windowMs: number, nowMs: number): SeenUser[] {
    const users: SeenUser[] = [];
    for (const [id, seenMs] of this.lastSeenMs)
      if (seenMs >= nowMs - windowMs) users.push({ id, ageMs: nowMs - seenMs });
    return users;
  }

  private forgetOldest(): void {
    for (const id of this.lastSeenMs.keys()) {
      this.lastSeenMs.delete(id);
      return;
    }
  }
}
