import { Injectable } from '@nestjs/common';
import {
  AuditLog,
  Clock,
  Database,
  EventBus,
  InstanceBus,
  UnauthenticatedError,
  type Queryable,
} from '../../../core/index.js';
import { RefreshTokenReused } from '../access.events.js';
import { BUS } from '../authentication/access-state.js';
import { SessionsStore, type Rotation } from '../stores/sessions.store.js';
import { TokenRevocationsStore } from '../stores/token-revocations.store.js';
import { UsersStore } from '../stores/users.store.js';
import { LocalTokens } from '../tokens/local-tokens.js';
import { RefreshTokens, type RefreshToken } from '../tokens/refresh-tokens.js';
import { TokenVerifier } from '../tokens/token-verifier.js';
import type { ExternalToken, VerifiedToken } from '../tokens/token.types.js';
import type { User } from '../users/user.types.js';

/** Where a request came from, for the audit log. */
export interface Origin {
  readonly ip: string;
  readonly requestId: string;
}

/** What a client gets by signing in or refreshing. */
export interface TokenPair {
  readonly accessToken: string;
  readonly refreshToken: string;
  readonly user: User;
}

/** Opens, continues and ends sessions. */
@Injectable()
export class SessionsService {
  constructor(
    private readonly database: Database,
    private readonly sessions: SessionsStore,
    private readonly revocations: TokenRevocationsStore,
    private readonly users: UsersStore,
    private readonly localTokens: LocalTokens,
    private readonly refreshTokens: RefreshTokens,
    private readonly tokens: TokenVerifier,
    private readonly bus: InstanceBus,
    private readonly events: EventBus,
    private readonly auditLog: AuditLog,
    private readonly clock: Clock,
  ) {}

  /** @returns null when the user was closed, or got another password, since this one was proven */
  async open(user: User, provenHash: string): Promise<TokenPair | null> {
    const sessionId = await this.database.transaction((tx) => this.openIn(tx, user.id, provenHash));
    return sessionId === null ? null : this.pairOf(user, { sessionId, generation: 1 });
  }

  /**
   * Swaps a refresh token for a new pair. It works once: who shows it again, or at the same time,
   * holds a copy, and the session ends for both holders.
   * @throws UnauthenticatedError
   */
  async refresh(refreshToken: string, origin: Origin): Promise<TokenPair> {
    const token = this.refreshTokens.verify(refreshToken);
    if (!token) throw refreshRefused();
    const { sessionId, generation } = token;
    const rotation = await this.database.transaction((tx) => this.rotateIn(tx, token));
    if (rotation.outcome === 'reused' && rotation.endedNow)
      await this.reportReuse(sessionId, rotation.userId, origin);
    if (rotation.outcome !== 'rotated') throw refreshRefused();
    const user = await this.users.find(rotation.userId);
    if (!user) throw refreshRefused();
    return this.pairOf(user, { sessionId, generation: generation + 1 });
  }

  /** Ends the session that this access token belongs to. @param bearer one that was just authenticated */
  async end(bearer: string, userId: string): Promise<void> {
    const token = await this.tokenOf(bearer);
    await this.database.transaction(async (tx) => {
      if (token.kind === 'external') return this.revokeExternal(tx, token, userId);
      if (await this.sessions.end(tx, token.sessionId, 'logout'))
        await this.bus.publish(tx, BUS.session, token.sessionId);
    });
  }

  /** @param bearer the access token that was shown, which must not outlive this either */
  async endAll(userId: string, bearer?: string): Promise<void> {
    const token = bearer === undefined ? undefined : await this.tokenOf(bearer);
    const issuedAtMs = token?.kind === 'external' ? token.issuedAtMs : null;
    await this.database.transaction(async (tx) => {
      await this.users.refuseTokensUntilNow(tx, userId, issuedAtMs);
      await this.sessions.endAllOf(tx, userId, 'logoutAll');
      await this.bus.publish(tx, BUS.user, userId);
    });
  }

  /** It was authenticated a moment ago, so this works while the issuer is away. */
  private async tokenOf(bearer: string): Promise<VerifiedToken> {
    return this.tokens.peek(bearer) ?? (await this.tokens.verify(bearer));
  }

  private async pairOf(user: User, token: RefreshToken): Promise<TokenPair> {
    const accessToken = await this.localTokens.sign(user, token.sessionId);
    return { accessToken, refreshToken: this.refreshTokens.sign(token), user };
  }

  private async openIn(tx: Queryable, userId: string, provenHash: string): Promise<string | null> {
    const id = await this.sessions.open(tx, userId, provenHash);
    if (id === null) return null;
    for (const ended of await this.sessions.endBeyondBound(tx, userId))
      await this.bus.publish(tx, BUS.session, ended);
    return id;
  }

  private async rotateIn(tx: Queryable, token: RefreshToken): Promise<Rotation> {
    const rotation = await this.sessions.rotate(tx, token);
    if (rotation.outcome === 'reused' && rotation.endedNow)
      await this.bus.publish(tx, BUS.session, token.sessionId);
    return rotation;
  }

  /** By `sid`, else `jti`, else every token of the user until now. */
  private async revokeExternal(tx: Queryable, token: ExternalToken, userId: string): Promise<void> {
    if (token.revocationKey === null) {
      await this.users.refuseTokensUntilNow(tx, userId, token.issuedAtMs);
      return this.bus.publish(tx, BUS.user, userId);
    }
    await this.revocations.add(tx, token.revocationKey, this.revokedUntilMs(token));
    await this.bus.publish(tx, BUS.session, token.revocationKey);
  }

  /** A session may have younger tokens than the one that ends it: they outlive it by a token's life, at most a month. */
  private revokedUntilMs({ expiresAtMs }: ExternalToken): number {
    return Math.max(expiresAtMs, this.clock.now()) + EXTERNAL_SESSION_MS;
  }

  private async reportReuse(sessionId: string, userId: string, origin: Origin): Promise<void> {
    const atMs = this.clock.now();
    this.events.publish(new RefreshTokenReused(sessionId, userId, origin.ip, atMs));
    await this.auditLog.record({
      atMs,
      actor: `user:${userId}`,
      action: 'auth.refresh.reused',
      kind: 'security',
      target: sessionId,
      ip: origin.ip,
      requestId: origin.requestId,
      result: 'refused',
      code: 'UNAUTHENTICATED',
    });
  }
}

/** How long a signed-out session of an external issuer is remembered beyond the token that was shown. */
const EXTERNAL_SESSION_MS = 30 * 86_400_000;

function refreshRefused(): UnauthenticatedError {
  return new UnauthenticatedError('the refresh token is not valid; sign in again');
}
