import { Injectable } from '@nestjs/common';
import { v7 as uuidv7 } from 'uuid';
import { Database, type Queryable } from '../../../core/index.js';
import type { RefreshToken } from '../tokens/refresh-tokens.js';

const DAY_MS = 86_400_000;
/** After this a person signs in again, however busy. */
export const SESSION_LIFETIME_MS = 30 * DAY_MS;
/** After so long without a refresh too. */
export const SESSION_IDLE_MS = 7 * DAY_MS;
/** The oldest sessions beyond this are ended by the next sign-in. */
export const MAX_SESSIONS_PER_USER = 100;

export type EndReason =
  'logout' | 'logoutAll' | 'tokenReused' | 'passwordChanged' | 'deactivated' | 'deleted' | 'tooMany';

/** What became of a refresh token. */
export type Rotation =
  | { readonly outcome: 'rotated'; readonly userId: string }
  /** It was used before; `endedNow` when its session was still open. */
  | { readonly outcome: 'reused'; readonly userId: string; readonly endedNow: boolean }
  | { readonly outcome: 'invalid' };

/** A session that requests may still use. */
export interface OpenSession {
  readonly userId: string;
  readonly expiresAtMs: number;
}

/** Sessions and which of their refresh tokens is the last, judged by PostgreSQL's clock. */
@Injectable()
export class SessionsStore {
  constructor(private readonly database: Database) {}

  /**
   * Opens a session for a user whose password was just proven.
   * @returns null when the user was deactivated or got another password meanwhile
   */
  async open(tx: Queryable, userId: string, provenHash: string): Promise<string | null> {
    const id = uuidv7();
    // FOR SHARE: a change of password waits, and then ends this session with the others.
    const opened = await tx.execute(
      `INSERT INTO vigia.sessions (id, user_id, expires_at, idle_expires_at)
       SELECT $1, u.id, clock_timestamp() + $4 * interval '1 ms', clock_timestamp() + $5 * interval '1 ms'
       FROM (SELECT id FROM vigia.users
             WHERE id = $2 AND password_hash = $3 AND active AND deleted_at IS NULL FOR SHARE) u`,
      [id, userId, provenHash, SESSION_LIFETIME_MS, SESSION_IDLE_MS],
    );
    return opened === 0 ? null : id;
  }

  /** Uses a session's refresh token up: the next generation takes its place. Of two parallel uses one comes too late. */
  async rotate(tx: Queryable, { sessionId, generation }: RefreshToken): Promise<Rotation> {
    const rows = await tx.query<{ user_id: string }>(
      `UPDATE vigia.sessions s SET refresh_generation = s.refresh_generation + 1,
         idle_expires_at = clock_timestamp() + $3 * interval '1 ms'
       FROM vigia.users u
       WHERE s.id = $1 AND s.refresh_generation = $2 AND u.id = s.user_id AND u.active AND u.deleted_at IS NULL
         AND s.ended_at IS NULL AND s.expires_at > clock_timestamp() AND s.idle_expires_at > clock_timestamp()
       RETURNING s.user_id`,
      [sessionId, generation, SESSION_IDLE_MS],
    );
    if (rows[0]) return { outcome: 'rotated', userId: rows[0].user_id };
    return this.endReused(tx, sessionId, generation);
  }

  /** @returns whether it was open until now */
  async end(tx: Queryable, id: string, reason: EndReason): Promise<boolean> {
    const ended = await tx.execute(
      'UPDATE vigia.sessions SET ended_at = clock_timestamp(), end_reason = $2 WHERE id = $1 AND ended_at IS NULL',
      [id, reason],
    );
    return ended === 1;
  }

  async endAllOf(
    tx: Queryable,
    userId: string,
    reason: EndReason,
    exceptId: string | null = null,
  ): Promise<void> {
    await tx.execute(
      `UPDATE vigia.sessions SET ended_at = clock_timestamp(), end_reason = $2
       WHERE user_id = $1 AND ended_at IS NULL AND id IS DISTINCT FROM $3`,
      [userId, reason, exceptId],
    );
  }

  /** Ends a user's oldest open sessions beyond the bound. @returns their ids */
  async endBeyondBound(tx: Queryable, userId: string): Promise<string[]> {
    const rows = await tx.query<{ id: string }>(
      `UPDATE vigia.sessions SET ended_at = clock_timestamp(), end_reason = 'tooMany'
       WHERE id IN (SELECT id FROM vigia.sessions WHERE user_id = $1 AND ended_at IS NULL AND expires_at > clock_timestamp()
                    ORDER BY id DESC OFFSET $2)
       RETURNING id`,
      [userId, MAX_SESSIONS_PER_USER],
    );
    return rows.map(({ id }) => id);
  }

  async loadOpen(id: string): Promise<OpenSession | null> {
    const rows = await this.database.query<{ user_id: string; expires_at: Date }>(
      'SELECT user_id, expires_at FROM vigia.sessions WHERE id = $1 AND ended_at IS NULL AND expires_at > clock_timestamp()',
      [id],
      { readOnly: true },
    );
    return rows[0] ? { userId: rows[0].user_id, expiresAtMs: rows[0].expires_at.getTime() } : null;
  }

  /** A signed token of an earlier generation was used before, however long ago. */
  private async endReused(tx: Queryable, sessionId: string, generation: number): Promise<Rotation> {
    const known = await tx.query<{ user_id: string }>(
      'SELECT user_id FROM vigia.sessions WHERE id = $1 AND refresh_generation > $2',
      [sessionId, generation],
    );
    if (!known[0]) return { outcome: 'invalid' };
    const { user_id: userId } = known[0];
    return { outcome: 'reused', userId, endedNow: await this.end(tx, sessionId, 'tokenReused') };
  }
}
