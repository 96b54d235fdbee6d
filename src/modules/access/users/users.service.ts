import { Injectable } from '@nestjs/common';
import {
  Database,
  InstanceBus,
  NotFoundError,
  toPage,
  type Page,
  type Queryable,
  type Role,
  type Tier,
} from '../../../core/index.js';
import { ExternalUserError, LastAdminError } from '../access.errors.js';
import { BUS } from '../authentication/access-state.js';
import { idCursor } from '../list-cursor.js';
import { PasswordHasher } from '../passwords/password-hasher.js';
import { SessionsStore } from '../stores/sessions.store.js';
import { UsersStore } from '../stores/users.store.js';
import type { User, UserChanges } from './user.types.js';

export interface CreateUser {
  readonly email: string;
  readonly name: string;
  readonly role: Role;
  readonly tier: Tier;
  readonly password: string;
}

export interface UpdateUser extends Omit<UserChanges, 'passwordHash' | 'locale' | 'timezone'> {
  readonly password?: string | undefined;
}

/** Administers users, over HTTP and from the command line. Inputs are checked by the callers' schemas. */
@Injectable()
export class UsersService {
  constructor(
    private readonly database: Database,
    private readonly users: UsersStore,
    private readonly sessions: SessionsStore,
    private readonly passwords: PasswordHasher,
    private readonly bus: InstanceBus,
  ) {}

  /** @throws EmailTakenError */
  async create({ password, ...user }: CreateUser): Promise<User> {
    const passwordHash = await this.passwords.hash(password);
    return this.users.insert(this.database, { ...user, passwordHash });
  }

  async list(limit: number, cursor?: string): Promise<Page<User>> {
    const rows = await this.users.list(limit, idCursor(cursor));
    return toPage(
      rows,
      limit,
      ({ id }) => [id],
      (user) => user,
    );
  }

  /** @throws NotFoundError */
  async get(id: string): Promise<User> {
    const user = await this.users.find(id);
    if (!user) throw new NotFoundError('the user');
    return user;
  }

  /** @param email in lower case @throws NotFoundError */
  async getByEmail(email: string): Promise<User> {
    const user = await this.users.findByEmail(email);
    if (!user) throw new NotFoundError('the user');
    return user;
  }

  /** @throws NotFoundError EmailTakenError LastAdminError ExternalUserError */
  async update(id: string, { password, ...changes }: UpdateUser): Promise<User> {
    const user = await this.get(id);
    if (user.external && (password !== undefined || changes.email !== undefined))
      throw new ExternalUserError();
    const passwordHash = password === undefined ? undefined : await this.passwords.hash(password);
    return this.database.transaction((tx) => this.apply(tx, id, { ...changes, passwordHash }));
  }

  setRole(id: string, role: Role): Promise<User> {
    return this.update(id, { role });
  }

  /** Ends the user's sessions as well. */
  setPassword(id: string, password: string): Promise<User> {
    return this.update(id, { password });
  }

  /** @throws NotFoundError LastAdminError */
  async remove(id: string): Promise<void> {
    await this.database.transaction(async (tx) => {
      await this.keepAnAdmin(tx, id);
      const deleted = await this.users.markDeleted(tx, id);
      if (deleted === null) throw new NotFoundError('the user');
      await this.sessions.endAllOf(tx, deleted, 'deleted');
      await this.bus.publish(tx, BUS.user, deleted);
    });
  }

  private async apply(tx: Queryable, id: string, changes: UserChanges): Promise<User> {
    if (changes.active === false || (changes.role ?? 'admin') !== 'admin') await this.keepAnAdmin(tx, id);
    const user = await this.users.update(tx, id, changes);
    if (!user) throw new NotFoundError('the user');
    // By the id that PostgreSQL keeps: the caller may spell the same one in upper case, and caches would not know it.
    if (changes.active === false) await this.sessions.endAllOf(tx, user.id, 'deactivated');
    if (changes.passwordHash !== undefined) await this.sessions.endAllOf(tx, user.id, 'passwordChanged');
    await this.bus.publish(tx, BUS.user, user.id);
    return user;
  }

  private async keepAnAdmin(tx: Queryable, leaving: string): Promise<void> {
    const admins = await this.users.lockActiveAdmins(tx);
    if (admins.length === 1 && admins[0] === leaving.toLowerCase()) throw new LastAdminError();
  }
}
