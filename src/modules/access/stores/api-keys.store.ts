import { Injectable } from '@nestjs/common';
import { v7 as uuidv7 } from 'uuid';
import { Database, type Queryable, type Role, type Tier } from '../../../core/index.js';
import type { ApiKey, NewApiKey } from '../api-keys/api-key.types.js';

interface ApiKeyRow {
  readonly id: string;
  readonly name: string;
  readonly role: Role;
  readonly tier: Tier;
  readonly created_by: string;
  readonly created_at: Date;
  readonly expires_at: Date | null;
  readonly last_used_at: Date | null;
}

const COLUMNS = 'id, name, role, tier, created_by, created_at, expires_at, last_used_at';

/** What each request needs to know of its key. */
export interface KeyAccess {
  readonly secretHash: Buffer;
  readonly role: Role;
  readonly tier: Tier;
  readonly expiresAtMs: number | null;
}

@Injectable()
export class ApiKeysStore {
  constructor(private readonly database: Database) {}

  async insert(tx: Queryable, key: NewApiKey): Promise<ApiKey> {
    const rows = await tx.query<ApiKeyRow>(
      `INSERT INTO vigia.api_keys (id, name, role, tier, secret_hash, created_by, expires_at)
       VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING ${COLUMNS}`,
      [uuidv7(), key.name, key.role, key.tier, key.secretHash, key.createdBy, key.expiresAt],
    );
    return toApiKey(rows[0]!);
  }

  /** How many keys can be used, now and until the transaction ends: whoever else wants to count waits. */
  async lockAndCount(tx: Queryable): Promise<number> {
    await tx.execute(`SELECT pg_advisory_xact_lock(hashtextextended('vigia.api_keys', 0))`);
    // A statement of its own: it must see what was committed while it waited for the lock.
    const rows = await tx.query<{ count: number }>(
      `SELECT count(*)::int AS count FROM vigia.api_keys
       WHERE deleted_at IS NULL AND (expires_at IS NULL OR expires_at > clock_timestamp())`,
    );
    return rows[0]!.count;
  }

  /** In the order of their making, `limit + 1` rows. */
  async list(limit: number, afterId: string | null): Promise<ApiKey[]> {
    const rows = await this.database.query<ApiKeyRow>(
      `SELECT ${COLUMNS} FROM vigia.api_keys
       WHERE deleted_at IS NULL AND ($2::uuid IS NULL OR id > $2) ORDER BY id LIMIT $1`,
      [limit + 1, afterId],
      { readOnly: true },
    );
    return rows.map(toApiKey);
  }

  /**
   * The row stays, without its secret, for as long as the audit log speaks of it.
   * @returns the id as it is stored, or null when there is no such key
   */
  async markDeleted(tx: Queryable, id: string): Promise<string | null> {
    const rows = await tx.query<{ id: string }>(
      `UPDATE vigia.api_keys SET deleted_at = clock_timestamp(), secret_hash = ''
       WHERE id = $1 AND deleted_at IS NULL RETURNING id`,
      [id],
    );
    return rows[0]?.id ?? null;
  }

  async loadAccess(id: string): Promise<KeyAccess | null> {
    const rows = await this.database.query<{
      secret_hash: Buffer;
      role: Role;
      tier: Tier;
      expires_at: Date | null;
    }>(
      'SELECT secret_hash, role, tier, expires_at FROM vigia.api_keys WHERE id = $1 AND deleted_at IS NULL',
      [id],
      { readOnly: true },
    );
    const row = rows[0];
    if (!row) return null;
    return {
      secretHash: row.secret_hash,
      role: row.role,
      tier: row.tier,
      expiresAtMs: row.expires_at?.getTime() ?? null,
    };
  }
}

function toApiKey(row: ApiKeyRow): ApiKey {
  return {
    id: row.id,
    name: row.name,
    role: row.role,
    tier: row.tier,
    createdBy: row.created_by,
    createdAt: row.created_at,
    expiresAt: row.expires_at,
    lastUsedAt: row.last_used_at,
  };
}
