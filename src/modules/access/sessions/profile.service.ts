import { Injectable } from '@nestjs/common';
import { Database, InstanceBus, UnauthenticatedError, type UserPrincipal } from '../../../core/index.js';
import { ExternalUserError, WrongPasswordError } from '../access.errors.js';
import { BUS } from '../authentication/access-state.js';
import { PasswordGate } from '../login-attempts/password-gate.js';
import { PasswordHasher } from '../passwords/password-hasher.js';
import { SessionsStore } from '../stores/sessions.store.js';
import { UsersStore } from '../stores/users.store.js';
import type { User, UserChanges } from '../users/user.types.js';

/** What people change about themselves. */
@Injectable()
export class ProfileService {
  constructor(
    private readonly database: Database,
    private readonly users: UsersStore,
    private readonly sessions: SessionsStore,
    private readonly passwords: PasswordHasher,
    private readonly gate: PasswordGate,
    private readonly bus: InstanceBus,
  ) {}

  async get({ id }: UserPrincipal): Promise<User> {
    const user = await this.users.find(id);
    if (!user) throw new UnauthenticatedError('the user is not active');
    return user;
  }

  /** Refused, like sign-in, while somebody is guessing this account's password or from this address. */
  async update(
    caller: UserPrincipal,
    changes: Pick<UserChanges, 'name' | 'locale' | 'timezone'>,
    ip: string,
  ): Promise<User> {
    const { email } = await this.get(caller);
    const updated = await this.gate.guard({ account: email ?? caller.id, ip }, () =>
      this.users.update(this.database, caller.id, changes),
    );
    if (!updated) throw new UnauthenticatedError('the user is not active');
    return updated;
  }

  /**
   * Sets a new password and ends the user's other sessions.
   * @throws WrongPasswordError ExternalUserError RateLimitedError
   */
  async changePassword(caller: UserPrincipal, current: string, next: string, ip: string): Promise<User> {
    const known = await this.users.findWithPassword('id', caller.id);
    if (!known) throw new ExternalUserError();
    const attempt = { account: known.user.email ?? caller.id, ip };
    const matches = await this.gate.guard(
      attempt,
      async () => (await this.passwords.verify(current, known.passwordHash)) || null,
    );
    if (!matches) throw new WrongPasswordError();
    await this.replacePassword(caller, known.passwordHash, await this.passwords.hash(next));
    return known.user;
  }

  private async replacePassword(
    { id, sessionId }: UserPrincipal,
    provenHash: string,
    newHash: string,
  ): Promise<void> {
    await this.database.transaction(async (tx) => {
      if (!(await this.users.replacePassword(tx, id, provenHash, newHash))) throw new WrongPasswordError();
      await this.sessions.endAllOf(tx, id, 'passwordChanged', sessionId);
      await this.bus.publish(tx, BUS.user, id);
    });
  }
}
