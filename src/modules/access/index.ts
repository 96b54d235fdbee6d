export {
  WrongCredentialsError,
  EmailTakenError,
  ExternalUserError,
  LastAdminError,
} from './access.errors.js';
export { AccessChanged, RefreshTokenReused } from './access.events.js';
export { AccessModule } from './access.module.js';
export type { AccessOptions, ExternalIssuerOptions } from './access.options.js';
export type { ApiKey } from './api-keys/api-key.types.js';
export { ApiKeysService } from './api-keys/api-keys.service.js';
export { clientOf } from './login-attempts/client-address.js';
export {
  LoginAttempts,
  type Attempt,
  type AttemptTicket,
  type AttemptVerdict,
} from './login-attempts/login-attempts.port.js';
export { newPassword } from './passwords/password-policy.js';
export { SessionsService } from './sessions/sessions.service.js';
export { ACCESS_ENTITIES } from './stores/entities.js';
export { emailAddress } from './users/email-address.js';
export type { User } from './users/user.types.js';
export { UsersService, type CreateUser, type UpdateUser } from './users/users.service.js';
