import type { Role, Tier } from './role.js';

/** Whoever is calling, once the credential was proven. */
export type Principal = UserPrincipal | ApiKeyPrincipal;

export interface UserPrincipal {
  readonly kind: 'user';
  readonly id: string;
  readonly role: Role;
  readonly tier: Tier;
  /** The session that the token belongs to, where the issuer names one. */
  readonly sessionId: string | null;
  /** When the credential ends, epoch milliseconds. */
  readonly expiresAtMs: number;
}

/** A key is never a person: routes about one's own things answer it 403. */
export interface ApiKeyPrincipal {
  readonly kind: 'apiKey';
  readonly id: string;
  readonly role: Role;
  readonly tier: Tier;
  /** Epoch milliseconds, or null for a key that does not expire. */
  readonly expiresAtMs: number | null;
}

/** The name under which audit and logs know a principal: `user:<id>` or `key:<id>`. */
export function principalName(principal: Principal): string {
  return `${principal.kind === 'user' ? 'user' : 'key'}:${principal.id}`;
}
