/** Who tries to prove a password, from where. */
export interface Attempt {
  /** The account's e-mail address, whether such an account exists or not. */
  readonly account: string;
  /** The client's address as Fastify resolved it. */
  readonly ip: string;
}

/** An admitted attempt, to be settled. Opaque. */
export type AttemptTicket = readonly { readonly key: string; readonly atMs: number }[];

export type AttemptVerdict =
  | { readonly outcome: 'admitted'; readonly ticket: AttemptTicket }
  /** Too many failures already. */
  | { readonly outcome: 'refused'; readonly retryAfterMs: number }
  /** Not refused yet, but it will be if those under way fail: ask again when one of them has ended. */
  | { readonly outcome: 'busy' };

/**
 * Limits how often passwords can be guessed: 10 failures a minute from one client, 100 for one account
 * from all of them. Each method is ONE atomic step over all instances: of 50 parallel wrong guesses
 * exactly 10 may be looked at.
 *
 * An admitted attempt holds a place until it is settled, and counts as failed if it never is (10 s).
 * What is stored is bounded by the attempts admitted within a window.
 */
export abstract class LoginAttempts {
  /** Takes a place for one attempt, before the password is looked at. */
  abstract begin(attempt: Attempt): Promise<AttemptVerdict>;
  /** Says how it went: a failure keeps counting for a minute, anything else gives the place back. May run twice. */
  abstract settle(ticket: AttemptTicket, failed: boolean): Promise<void>;
}
