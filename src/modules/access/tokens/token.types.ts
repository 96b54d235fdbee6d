import type { ExternalProfile } from '../users/user.types.js';

/** A token whose signature, issuer, audience and times were found right. */
export type VerifiedToken = LocalToken | ExternalToken;

export interface LocalToken {
  readonly kind: 'local';
  readonly userId: string;
  readonly sessionId: string;
  /** Epoch milliseconds. */
  readonly expiresAtMs: number;
}

export interface ExternalToken {
  readonly kind: 'external';
  readonly profile: ExternalProfile;
  /** `sid`, where the issuer names one. */
  readonly sessionId: string | null;
  /** By what the token can be revoked alone; null when it names neither `sid` nor `jti`. */
  readonly revocationKey: string | null;
  readonly issuedAtMs: number | null;
  readonly expiresAtMs: number;
}
