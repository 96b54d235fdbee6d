import { Inject, Injectable, Logger, type OnApplicationBootstrap } from '@nestjs/common';
import { randomBytes } from 'node:crypto';
import { Database } from '../../../core/index.js';
import { ACCESS_OPTIONS, type AccessOptions } from '../access.options.js';
import { PasswordHasher } from '../passwords/password-hasher.js';
import { newPassword } from '../passwords/password-policy.js';
import { UsersStore } from '../stores/users.store.js';
import { emailAddress } from './email-address.js';

const DEFAULT_EMAIL = 'admin@localhost';
/** 144 bits, 24 characters. */
const GENERATED_BYTES = 18;

/** Makes the first administrator, so that a new installation can be signed in to. */
@Injectable()
export class BootstrapAdmin implements OnApplicationBootstrap {
  private readonly logger = new Logger(BootstrapAdmin.name);
  private readonly email: string;

  /** @throws Error for an address or a password that the API would refuse too */
  constructor(
    @Inject(ACCESS_OPTIONS) private readonly options: AccessOptions,
    private readonly database: Database,
    private readonly users: UsersStore,
    private readonly passwords: PasswordHasher,
  ) {
    const { email = DEFAULT_EMAIL, password } = options.admin ?? {};
    const address = emailAddress.safeParse(email);
    if (!address.success) throw new Error("the first administrator's e-mail address is not one");
    const fault =
      password === undefined ? undefined : newPassword.safeParse(password).error?.issues[0]?.message;
    if (fault) throw new Error(`the first administrator's password ${fault}`);
    this.email = address.data;
  }

  async onApplicationBootstrap(): Promise<void> {
    if (await this.users.hasActiveAdmin()) return;
    const given = this.options.admin?.password;
    const password = given ?? randomBytes(GENERATED_BYTES).toString('base64url');
    if (!(await this.createUnlessThere(await this.passwords.hash(password)))) return;
    this.logger.log(`made the first administrator, ${this.email}`);
    if (given === undefined) this.options.onAdminCreated?.(this.email, password);
  }

  /** Of two instances that start together one makes it, and the other finds it. */
  private createUnlessThere(passwordHash: string): Promise<boolean> {
    return this.database.transaction(async (tx) => {
      await this.users.lockWhole(tx);
      if (await this.users.hasActiveAdmin(tx)) return false;
      await this.users.insert(tx, {
        email: this.email,
        name: 'Administrator',
        role: 'admin',
        tier: 'enterprise',
        passwordHash,
      });
      return true;
    });
  }
}
