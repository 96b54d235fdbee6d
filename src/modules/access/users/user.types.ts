import type { Role, Tier } from '../../../core/index.js';

/** A person who may sign in, here or at the external issuer. */
export interface User {
  readonly id: string;
  /** Lower case; null when an external issuer named none. */
  readonly email: string | null;
  readonly name: string;
  readonly role: Role;
  readonly tier: Tier;
  readonly active: boolean;
  /** The account is kept by an external issuer. */
  readonly external: boolean;
  readonly locale: string | null;
  readonly timezone: string | null;
  readonly createdAt: Date;
  readonly lastSeenAt: Date | null;
}

export interface NewUser {
  readonly email: string;
  readonly name: string;
  readonly role: Role;
  readonly tier: Tier;
  readonly passwordHash: string;
}

/** What may be changed of a user; absent stays as it is. */
export interface UserChanges {
  readonly email?: string | undefined;
  readonly name?: string | undefined;
  readonly role?: Role | undefined;
  readonly tier?: Tier | undefined;
  readonly active?: boolean | undefined;
  readonly passwordHash?: string | undefined;
  readonly locale?: string | undefined;
  readonly timezone?: string | undefined;
}

/** What an external issuer says of one of its users. */
export interface ExternalProfile {
  readonly issuer: string;
  readonly subject: string;
  readonly role: Role;
  readonly tier: Tier;
  readonly name: string;
  readonly email: string | null;
}
