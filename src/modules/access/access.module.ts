import { Module, type DynamicModule, type Provider } from '@nestjs/common';
import { AuditLog, Authenticator, Database } from '../../core/index.js';
import { AccessJobs } from './access.jobs.js';
import { ACCESS_OPTIONS, type AccessOptions } from './access.options.js';
import { ApiKeysController } from './api-keys/api-keys.controller.js';
import { ApiKeysService } from './api-keys/api-keys.service.js';
import { AuditController } from './audit/audit.controller.js';
import { BufferedAuditLog } from './audit/buffered-audit-log.js';
import { AccessAuthenticator } from './authentication/access-authenticator.js';
import { AccessState } from './authentication/access-state.js';
import { ExternalUsers } from './authentication/external-users.js';
import { LastSeen } from './authentication/last-seen.js';
import { LoginAttempts } from './login-attempts/login-attempts.port.js';
import { PasswordGate } from './login-attempts/password-gate.js';
import { PostgresLoginAttempts } from './login-attempts/postgres-login-attempts.js';
import { PasswordHasher } from './passwords/password-hasher.js';
import { AuthController } from './sessions/auth.controller.js';
import { LoginService } from './sessions/login.service.js';
import { ProfileService } from './sessions/profile.service.js';
import { RefreshCookie } from './sessions/refresh-cookie.js';
import { SessionsService } from './sessions/sessions.service.js';
import { ApiKeysStore } from './stores/api-keys.store.js';
import { AuditStore } from './stores/audit.store.js';
import { RetentionStore } from './stores/retention.store.js';
import { SessionsStore } from './stores/sessions.store.js';
import { TokenRevocationsStore } from './stores/token-revocations.store.js';
import { UsersStore } from './stores/users.store.js';
import { ExternalTokens } from './tokens/external-tokens.js';
import { LocalTokens } from './tokens/local-tokens.js';
import { RefreshTokens } from './tokens/refresh-tokens.js';
import { TokenVerifier } from './tokens/token-verifier.js';
import { BootstrapAdmin } from './users/bootstrap-admin.js';
import { UsersController } from './users/users.controller.js';
import { UsersService } from './users/users.service.js';

const STORES = [UsersStore, SessionsStore, TokenRevocationsStore, ApiKeysStore, AuditStore, RetentionStore];
const SERVICES = [
  ...[PasswordHasher, PasswordGate, LocalTokens, RefreshTokens, ExternalTokens, TokenVerifier],
  ...[AccessState, ExternalUsers, LastSeen, AccessAuthenticator, BufferedAuditLog],
  ...[UsersService, SessionsService, LoginService, ProfileService, RefreshCookie, ApiKeysService],
  ...[BootstrapAdmin, AccessJobs],
];

/** Who is calling, and what they may do: users, sessions, tokens, API keys, the audit log. */
@Module({})
export class AccessModule {
  constructor(database: Database) {
    database.requireFor(AccessModule.name);
  }

  static forRoot(options: AccessOptions): DynamicModule {
    const ports: Provider[] = [
      { provide: Authenticator, useExisting: AccessAuthenticator },
      { provide: AuditLog, useExisting: BufferedAuditLog },
    ];
    return {
      module: AccessModule,
      global: true, // every module's controllers are audited and authenticated
      providers: [
        { provide: ACCESS_OPTIONS, useValue: options },
        loginAttempts(options),
        ...STORES,
        ...SERVICES,
        ...ports,
      ],
      controllers: options.http ? [AuthController, UsersController, ApiKeysController, AuditController] : [],
      exports: [...ports, UsersService, ApiKeysService, SessionsService, LoginAttempts],
    };
  }
}

function loginAttempts({ loginAttempts: bound }: AccessOptions): Provider {
  return bound
    ? { provide: LoginAttempts, ...bound }
    : { provide: LoginAttempts, useClass: PostgresLoginAttempts };
}
