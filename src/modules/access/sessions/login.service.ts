import { Injectable } from '@nestjs/common';
import { AuditLog, Clock, RateLimitedError, type AuditEntry } from '../../../core/index.js';
import { WrongCredentialsError } from '../access.errors.js';
import { PasswordGate } from '../login-attempts/password-gate.js';
import { PasswordHasher } from '../passwords/password-hasher.js';
import { UsersStore } from '../stores/users.store.js';
import type { User } from '../users/user.types.js';
import { SessionsService, type Origin, type TokenPair } from './sessions.service.js';

/** Signs people in by e-mail address and password. */
@Injectable()
export class LoginService {
  constructor(
    private readonly gate: PasswordGate,
    private readonly users: UsersStore,
    private readonly passwords: PasswordHasher,
    private readonly sessions: SessionsService,
    private readonly auditLog: AuditLog,
    private readonly clock: Clock,
  ) {}

  /**
   * @param email in lower case
   * @throws WrongCredentialsError alike for an unknown account, a wrong password and a closed account
   * @throws RateLimitedError
   */
  async login(email: string, password: string, origin: Origin): Promise<TokenPair> {
    let account: string | null = null;
    const pair = await this.attempt(email, origin, async () => {
      const known = await this.users.findWithPassword('email', email);
      account = known?.user.id ?? null;
      return this.prove(password, known);
    });
    if (!pair) {
      this.auditLog.note({ ...this.entry(origin, null, 'refused', 'UNAUTHENTICATED'), target: account });
      throw new WrongCredentialsError();
    }
    await this.auditLog.record(this.entry(origin, pair.user.id, 'ok', null));
    return pair;
  }

  private async attempt(
    email: string,
    origin: Origin,
    prove: () => Promise<TokenPair | null>,
  ): Promise<TokenPair | null> {
    try {
      return await this.gate.guard({ account: email, ip: origin.ip }, prove);
    } catch (error) {
      if (error instanceof RateLimitedError)
        this.auditLog.note(this.entry(origin, null, 'refused', error.code));
      throw error;
    }
  }

  private async prove(
    password: string,
    known: { user: User; passwordHash: string } | null,
  ): Promise<TokenPair | null> {
    const matches = await this.passwords.verify(password, known?.passwordHash ?? null);
    return matches && known ? this.sessions.open(known.user, known.passwordHash) : null;
  }

  private entry(
    origin: Origin,
    userId: string | null,
    result: AuditEntry['result'],
    code: string | null,
  ): AuditEntry {
    return {
      atMs: this.clock.now(),
      actor: userId && `user:${userId}`,
      action: 'auth.login',
      kind: 'security',
      target: userId,
      ip: origin.ip,
      requestId: origin.requestId,
      result,
      code,
    };
  }
}
