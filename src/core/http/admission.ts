import { Injectable } from '@nestjs/common';
import { ModuleRef } from '@nestjs/core';
import type { FastifyRequest } from 'fastify';
import { authorize, type AccessPolicy } from '../access/access.policy.js';
import { AuditLog } from '../access/audit.port.js';
import { Authenticator } from '../access/authenticator.port.js';
import { principalName } from '../access/principal.js';
import { Clock } from '../clock/clock.js';
import { UnauthenticatedError, VigiaError } from '../errors/errors.js';
import { credentialsOf } from './credentials.js';

interface Ports {
  readonly authenticator: Authenticator | undefined;
  readonly auditLog: AuditLog | undefined;
}

/** Lets a caller in or writes down that it did not: before every handler, and in those whose openness depends on the request. */
@Injectable()
export class Admission {
  private found: Ports | undefined;

  constructor(
    private readonly moduleRef: ModuleRef,
    private readonly clock: Clock,
  ) {}

  /**
   * Finds out who calls, as `request.principal`, and whether the policy lets them.
   * @throws UnauthenticatedError, ForbiddenError after noting it in the audit log
   */
  async admit(request: FastifyRequest, policy: AccessPolicy): Promise<void> {
    if (policy.kind === 'public') return;
    try {
      const { authenticator } = this.ports;
      if (!authenticator) throw new UnauthenticatedError('no authenticator is configured');
      request.principal = await authenticator.authenticate(credentialsOf(request.headers));
      authorize(policy, request.principal);
    } catch (error) {
      this.noteRefusal(error, request);
      throw error;
    }
  }

  /** Other modules bind them, so they are there only once all modules are. */
  private get ports(): Ports {
    this.found ??= { authenticator: this.find(Authenticator), auditLog: this.find(AuditLog) };
    return this.found;
  }

  private find<T>(port: abstract new (...args: never[]) => T): T | undefined {
    try {
      return this.moduleRef.get<T>(port, { strict: false });
    } catch {
      return undefined; // nobody bound it: routes that need a principal then refuse every call
    }
  }

  private noteRefusal(error: unknown, request: FastifyRequest): void {
    if (!(error instanceof VigiaError) || (error.status !== 401 && error.status !== 403)) return;
    this.ports.auditLog?.note({
      atMs: this.clock.now(),
      actor: request.principal ? principalName(request.principal) : null,
      action: `${request.method} ${request.routeOptions.url ?? ''}`,
      kind: 'security',
      target: null,
      ip: request.ip,
      requestId: request.id,
      result: 'refused',
      code: error.code,
    });
  }
}
