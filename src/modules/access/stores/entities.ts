import { ApiKeyEntity } from './api-keys.entity.js';
import { AuditEntity } from './audit.entity.js';
import { LoginAttemptsEntity } from './login-attempts.entity.js';
import { SessionEntity, TokenRevocationEntity } from './sessions.entity.js';
import { UserEntity } from './users.entity.js';

/** What access keeps in schema `vigia`, for the comparison with the migrations. */
export const ACCESS_ENTITIES = [
  UserEntity,
  SessionEntity,
  TokenRevocationEntity,
  ApiKeyEntity,
  LoginAttemptsEntity,
  AuditEntity,
];
