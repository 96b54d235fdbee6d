import type { Role, Tier } from '../../../core/index.js';

export interface ApiKey {
  readonly id: string;
  readonly name: string;
  readonly role: Role;
  readonly tier: Tier;
  /** Who made it, as the audit log names principals. */
  readonly createdBy: string;
  readonly createdAt: Date;
  readonly expiresAt: Date | null;
  readonly lastUsedAt: Date | null;
}

export interface NewApiKey {
  readonly name: string;
  readonly role: Role;
  readonly tier: Tier;
  readonly secretHash: Buffer;
  readonly createdBy: string;
  readonly expiresAt: Date | null;
}
