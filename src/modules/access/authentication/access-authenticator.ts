import { Injectable } from '@nestjs/common';
import { timingSafeEqual } from 'node:crypto';
import {
  Authenticator,
  Clock,
  UnauthenticatedError,
  type ApiKeyPrincipal,
  type Credentials,
  type Principal,
  type UserPrincipal,
} from '../../../core/index.js';
import { parseKey } from '../api-keys/key-text.js';
import type { OpenSession } from '../stores/sessions.store.js';
import type { UserAccess } from '../stores/users.store.js';
import { TokenVerifier } from '../tokens/token-verifier.js';
import type { ExternalToken, LocalToken } from '../tokens/token.types.js';
import { AccessState } from './access-state.js';
import { ExternalUsers } from './external-users.js';
import { LastSeen } from './last-seen.js';

/** Compared with when a key does not exist, so that it costs what a wrong secret costs. */
const NO_DIGEST = Buffer.alloc(32);

/** Proves who is calling, by token or API key, and that neither was withdrawn. */
@Injectable()
export class AccessAuthenticator extends Authenticator {
  constructor(
    private readonly tokens: TokenVerifier,
    private readonly state: AccessState,
    private readonly externalUsers: ExternalUsers,
    private readonly lastSeen: LastSeen,
    private readonly clock: Clock,
  ) {
    super();
  }

  override async authenticate({ bearer, apiKey }: Credentials): Promise<Principal> {
    if (bearer !== undefined && apiKey !== undefined)
      throw new UnauthenticatedError('send a token or an API key, not both');
    if (bearer !== undefined) return this.byToken(bearer);
    if (apiKey !== undefined) return this.byKey(apiKey);
    throw new UnauthenticatedError();
  }

  private async byToken(text: string): Promise<UserPrincipal> {
    const token = this.tokens.peek(text) ?? (await this.tokens.verify(text));
    const principal = token.kind === 'local' ? await this.bySession(token) : await this.byExternal(token);
    this.lastSeen.note('user', principal.id);
    return principal;
  }

  /** The role is the user's of now, not the token's of a quarter of an hour ago. */
  private async bySession({ sessionId, userId, expiresAtMs }: LocalToken): Promise<UserPrincipal> {
    const session = this.state.sessions.peek(sessionId) ?? (await this.state.sessions.get(sessionId));
    if (!isOf(session, userId) || session.expiresAtMs <= this.clock.now())
      throw new UnauthenticatedError('the session has ended');
    const { role, tier } = await this.userOf(userId);
    return { kind: 'user', id: userId, role, tier, sessionId, expiresAtMs };
  }

  private async byExternal(token: ExternalToken): Promise<UserPrincipal> {
    const { revocationKey: key, sessionId, expiresAtMs } = token;
    if (key !== null && !(await this.state.unrevoked.get(key)))
      throw new UnauthenticatedError('the session has ended');
    const id = await this.externalUsers.idOf(token.profile);
    const user = await this.userOf(id);
    if (wasIssuedBefore(token, user)) throw new UnauthenticatedError('the session has ended');
    return { kind: 'user', id, role: user.role, tier: user.tier, sessionId, expiresAtMs };
  }

  private async userOf(id: string): Promise<UserAccess> {
    const user = this.state.users.peek(id) ?? (await this.state.users.get(id));
    if (!user) throw new UnauthenticatedError('the user is not active');
    return user;
  }

  private async byKey(text: string): Promise<ApiKeyPrincipal> {
    const given = parseKey(text);
    const known = given && (this.state.apiKeys.peek(given.id) ?? (await this.state.apiKeys.get(given.id)));
    const matches = timingSafeEqual(given?.secretHash ?? NO_DIGEST, known?.secretHash ?? NO_DIGEST);
    if (!given || !known || !matches) throw new UnauthenticatedError('the API key is not valid');
    if (known.expiresAtMs !== null && known.expiresAtMs <= this.clock.now())
      throw new UnauthenticatedError('the API key has expired');
    this.lastSeen.note('apiKey', given.id);
    return {
      kind: 'apiKey',
      id: given.id,
      role: known.role,
      tier: known.tier,
      expiresAtMs: known.expiresAtMs,
    };
  }
}

function isOf(session: OpenSession | null, userId: string): session is OpenSession {
  return session !== null && session.userId === userId;
}

/** `iat` counts whole seconds, so a token of the very second counts as old; one without `iat` too. */
function wasIssuedBefore({ issuedAtMs }: ExternalToken, { tokensValidAfterMs }: UserAccess): boolean {
  return tokensValidAfterMs !== null && (issuedAtMs ?? 0) <= tokensValidAfterMs;
}
