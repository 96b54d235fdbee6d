import {
  applyDecorators,
  createParamDecorator,
  SetMetadata,
  UseInterceptors,
  type CustomDecorator,
  type ExecutionContext,
} from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import { UnauthenticatedError } from '../errors/errors.js';
import type { AccessPolicy } from './access.policy.js';
import { ACCESS_POLICY, AUDITED, type AuditRule } from './access.metadata.js';
import { AuditInterceptor } from './audit.interceptor.js';
import type { Principal } from './principal.js';
import type { Role } from './role.js';

/** The route answers callers without a credential. */
export const Public = (): CustomDecorator =>
  SetMetadata<string, AccessPolicy>(ACCESS_POLICY, { kind: 'public' });

/**
 * The least role that may call; `'key'` lets any API key in besides. On a class it holds for every
 * handler that does not say otherwise.
 */
export const Roles = (role: Role, ...also: 'key'[]): CustomDecorator =>
  SetMetadata<string, AccessPolicy>(ACCESS_POLICY, { kind: 'role', role, orAnyKey: also.includes('key') });

/** Writes each call of the route to the audit log, with its outcome. */
export const Audited = (action: string, rule: Partial<Omit<AuditRule, 'action'>> = {}): MethodDecorator =>
  applyDecorators(
    SetMetadata<string, AuditRule>(AUDITED, { kind: 'admin', ...rule, action }),
    UseInterceptors(AuditInterceptor),
  );

/** Hands the handler the caller. Only for routes that are not public. */
export const CurrentPrincipal = createParamDecorator((_: unknown, context: ExecutionContext): Principal => {
  const { principal } = context.switchToHttp().getRequest<FastifyRequest>();
  if (!principal) throw new UnauthenticatedError();
  return principal;
});
