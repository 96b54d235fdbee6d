import { Injectable } from '@nestjs/common';
import { v7 as uuidv7 } from 'uuid';
import { Database, isUniqueViolation, type Queryable, type Role, type Tier } from '../../../core/index.js';
import { EmailTakenError } from '../access.errors.js';
import type { ExternalProfile, NewUser, User, UserChanges } from '../users/user.types.js';

interface UserRow {
  readonly id: string;
  readonly email: string | null;
  readonly name: string;
  readonly role: Role;
  readonly tier: Tier;
  readonly active: boolean;
  readonly external: boolean;
  readonly locale: string | null;
  readonly timezone: string | null;
  readonly created_at: Date;
  readonly last_seen_at: Date | null;
}

const COLUMNS = `id, email, name, role, tier, active, issuer IS NOT NULL AS external, locale, timezone, created_at, last_seen_at`;

/** Users that are not deleted; a deleted one stays as a row that only the audit log refers to. */
@Injectable()
export class UsersStore {
  constructor(private readonly database: Database) {}

  /** @throws EmailTakenError */
  async insert(tx: Queryable, user: NewUser): Promise<User> {
    return emailIsUnique(async () => {
      const rows = await tx.query<UserRow>(
        `INSERT INTO vigia.users (id, email, name, role, tier, password_hash) VALUES ($1, $2, $3, $4, $5, $6)
         RETURNING ${COLUMNS}`,
        [uuidv7(), user.email, user.name, user.role, user.tier, user.passwordHash],
      );
      return toUser(rows[0]!);
    });
  }

  /** The user of (issuer, subject), made if this is the first sight of it. @returns null for a deleted one */
  async findOrInsertExternal(profile: ExternalProfile): Promise<string | null> {
    await this.database.execute(
      `INSERT INTO vigia.users (id, email, name, role, tier, issuer, subject) VALUES ($1, $2, $3, $4, $5, $6, $7)
       ON CONFLICT (issuer, subject) DO NOTHING`,
      [uuidv7(), profile.email, profile.name, profile.role, profile.tier, profile.issuer, profile.subject],
    );
    return this.findExternal(profile.issuer, profile.subject);
  }

  async findExternal(issuer: string, subject: string): Promise<string | null> {
    const rows = await this.database.query<{ id: string }>(
      'SELECT id FROM vigia.users WHERE issuer = $1 AND subject = $2 AND deleted_at IS NULL',
      [issuer, subject],
      { readOnly: true },
    );
    return rows[0]?.id ?? null;
  }

  async find(id: string): Promise<User | null> {
    const rows = await this.database.query<UserRow>(
      `SELECT ${COLUMNS} FROM vigia.users WHERE id = $1 AND deleted_at IS NULL`,
      [id],
      { readOnly: true },
    );
    return rows[0] ? toUser(rows[0]) : null;
  }

  async findByEmail(email: string): Promise<User | null> {
    return (await this.findWithPassword('email', email))?.user ?? null;
  }

  /** The account that somebody claims to be, with the hash to prove it by; external accounts have none. */
  async findWithPassword(
    by: 'email' | 'id',
    value: string,
  ): Promise<{ user: User; passwordHash: string } | null> {
    const rows = await this.database.query<UserRow & { password_hash: string }>(
      `SELECT ${COLUMNS}, password_hash FROM vigia.users
       WHERE ${by} = $1 AND issuer IS NULL AND deleted_at IS NULL`,
      [value],
      { readOnly: true },
    );
    return rows[0] ? { user: toUser(rows[0]), passwordHash: rows[0].password_hash } : null;
  }

  /** In the order of their making, `limit + 1` rows. */
  async list(limit: number, afterId: string | null): Promise<User[]> {
    const rows = await this.database.query<UserRow>(
      `SELECT ${COLUMNS} FROM vigia.users
       WHERE deleted_at IS NULL AND ($2::uuid IS NULL OR id > $2) ORDER BY id LIMIT $1`,
      [limit + 1, afterId],
      { readOnly: true },
    );
    return rows.map(toUser);
  }

  async hasActiveAdmin(db: Queryable = this.database): Promise<boolean> {
    const rows = await db.query(
      `SELECT 1 FROM vigia.users WHERE role = 'admin' AND active AND deleted_at IS NULL LIMIT 1`,
    );
    return rows.length > 0;
  }

  /** Makes writers wait until the transaction ends, so that two first starts make one administrator. */
  async lockWhole(tx: Queryable): Promise<void> {
    await tx.execute('LOCK TABLE vigia.users IN SHARE ROW EXCLUSIVE MODE');
  }

  /** Locks every active administrator, always in one order, so that two of them cannot remove each other. */
  async lockActiveAdmins(tx: Queryable): Promise<string[]> {
    const rows = await tx.query<{ id: string }>(
      `SELECT id FROM vigia.users WHERE role = 'admin' AND active AND deleted_at IS NULL ORDER BY id FOR UPDATE`,
    );
    return rows.map(({ id }) => id);
  }

  /** @returns null when there is no such user @throws EmailTakenError */
  async update(tx: Queryable, id: string, changes: UserChanges): Promise<User | null> {
    const { email, name, role, tier, active, passwordHash, locale, timezone } = changes;
    return emailIsUnique(async () => {
      const rows = await tx.query<UserRow>(
        `UPDATE vigia.users SET
           email = coalesce($2, email), name = coalesce($3, name), role = coalesce($4, role), tier = coalesce($5, tier),
           active = coalesce($6, active), password_hash = coalesce($7, password_hash),
           locale = coalesce($8, locale), timezone = coalesce($9, timezone)
         WHERE id = $1 AND deleted_at IS NULL RETURNING ${COLUMNS}`,
        [id, email, name, role, tier, active, passwordHash, locale, timezone],
      );
      return rows[0] ? toUser(rows[0]) : null;
    });
  }

  /** Sets a password if it is still the one that was proven. @returns whether it was */
  async replacePassword(tx: Queryable, id: string, provenHash: string, newHash: string): Promise<boolean> {
    const changed = await tx.execute(
      'UPDATE vigia.users SET password_hash = $3 WHERE id = $1 AND password_hash = $2 AND active AND deleted_at IS NULL',
      [id, provenHash, newHash],
    );
    return changed === 1;
  }

  /**
   * Refuses all of an external user's tokens issued until now.
   * @param issuedAtMs of the token that was shown: by an issuer's clock that runs ahead of ours it is later than now
   */
  async refuseTokensUntilNow(tx: Queryable, id: string, issuedAtMs: number | null): Promise<void> {
    await tx.execute(
      `UPDATE vigia.users SET tokens_valid_after = greatest(tokens_valid_after, clock_timestamp(), $2::timestamptz)
       WHERE id = $1 AND issuer IS NOT NULL`,
      [id, issuedAtMs === null ? null : new Date(issuedAtMs)],
    );
  }

  /**
   * Nothing that opens a door stays; what names the person goes when the audit log forgets it too.
   * @returns the id as it is stored, or null when there is no such user
   */
  async markDeleted(tx: Queryable, id: string): Promise<string | null> {
    const rows = await tx.query<{ id: string }>(
      `UPDATE vigia.users SET deleted_at = clock_timestamp(), active = false, password_hash = NULL
       WHERE id = $1 AND deleted_at IS NULL RETURNING id`,
      [id],
    );
    return rows[0]?.id ?? null;
  }

  /** What each request needs to know of its user. @returns null when the user may do nothing */
  async loadAccess(id: string): Promise<UserAccess | null> {
    const rows = await this.database.query<{ role: Role; tier: Tier; tokens_valid_after: Date | null }>(
      'SELECT role, tier, tokens_valid_after FROM vigia.users WHERE id = $1 AND active AND deleted_at IS NULL',
      [id],
      { readOnly: true },
    );
    const row = rows[0];
    return row
      ? { role: row.role, tier: row.tier, tokensValidAfterMs: row.tokens_valid_after?.getTime() ?? null }
      : null;
  }
}

export interface UserAccess {
  readonly role: Role;
  readonly tier: Tier;
  /** Tokens of an external issuer are refused when they are not younger than this. */
  readonly tokensValidAfterMs: number | null;
}

async function emailIsUnique<T>(write: () => Promise<T>): Promise<T> {
  try {
    return await write();
  } catch (error) {
    throw isUniqueViolation(error, 'uq_users_email') ? new EmailTakenError(error) : error;
  }
}

function toUser(row: UserRow): User {
  return {
    id: row.id,
    email: row.email,
    name: row.name,
    role: row.role,
    tier: row.tier,
    active: row.active,
    external: row.external,
    locale: row.locale,
    timezone: row.timezone,
    createdAt: row.created_at,
    lastSeenAt: row.last_seen_at,
  };
}
