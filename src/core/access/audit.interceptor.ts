import {
  Injectable,
  Logger,
  Optional,
  type CallHandler,
  type ExecutionContext,
  type NestInterceptor,
} from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import { catchError, concatMap, from, map, throwError, type Observable } from 'rxjs';
import { Clock } from '../clock/clock.js';
import { DependencyUnavailableError } from '../errors/errors.js';
import { toProblem } from '../errors/problem.js';
import { AUDITED, type AuditRule } from './access.metadata.js';
import { AuditLog, type AuditEntry } from './audit.port.js';
import { principalName } from './principal.js';

/** Writes every call of an `@Audited` route before it is answered; worn by those routes alone. */
@Injectable()
export class AuditInterceptor implements NestInterceptor {
  private readonly logger = new Logger(AuditInterceptor.name);

  constructor(
    private readonly clock: Clock,
    @Optional() private readonly auditLog?: AuditLog,
  ) {}

  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    const { auditLog } = this;
    const rule = Reflect.getMetadata(AUDITED, context.getHandler()) as AuditRule | undefined;
    if (!rule || !auditLog) return next.handle();
    const request = context.switchToHttp().getRequest<FastifyRequest>();
    return next.handle().pipe(
      catchError((error: unknown) =>
        from(this.failed(auditLog, this.entry(rule, request, error), request, error)).pipe(
          concatMap(() => throwError(() => error)),
        ),
      ),
      concatMap((answer: unknown) =>
        from(this.written(auditLog, this.entry(rule, request, undefined, answer))).pipe(map(() => answer)),
      ),
    );
  }

  /**
   * Failures that anybody can cause in any number are noted, and so is the lack of what `record` itself
   * would need: the caller has waited for it once already.
   */
  private async failed(
    auditLog: AuditLog,
    entry: AuditEntry,
    request: FastifyRequest,
    error: unknown,
  ): Promise<void> {
    if (error instanceof DependencyUnavailableError || isForEverybody(request)) auditLog.note(entry);
    else await this.written(auditLog, entry);
  }

  /** What was done is done: the caller is told how it went, also when the log cannot be written. */
  private async written(auditLog: AuditLog, entry: AuditEntry): Promise<void> {
    try {
      await auditLog.record(entry);
    } catch (error) {
      this.logger.error(`cannot record ${entry.action} of ${entry.actor ?? 'nobody'}: ${String(error)}`);
    }
  }

  private entry(rule: AuditRule, request: FastifyRequest, error?: unknown, answer?: unknown): AuditEntry {
    const problem = error === undefined ? undefined : toProblem(error, request.id);
    return {
      atMs: this.clock.now(),
      actor: request.principal ? principalName(request.principal) : null,
      action: rule.action,
      kind: rule.kind,
      target: targetOf(rule, request, answer),
      ip: request.ip,
      requestId: request.id,
      result: problem === undefined ? 'ok' : problem.status === 403 ? 'refused' : 'failed',
      code: problem?.code ?? null,
    };
  }
}

/** A route that every signed-in person may call. */
function isForEverybody({ routeOptions }: FastifyRequest): boolean {
  const access = routeOptions.config.vigia?.access;
  return access?.kind === 'role' && access.role === 'user';
}

const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** The route parameter the rule names, else the id of what was made. */
function targetOf(rule: AuditRule, request: FastifyRequest, answer: unknown): string | null {
  const params = request.params as Record<string, string> | undefined;
  const named = rule.target && params?.[rule.target];
  // One target has one name, however the caller spelled its id.
  if (named) return UUID.test(named) ? named.toLowerCase() : named;
  if (typeof answer === 'object' && answer !== null && 'id' in answer) return String(answer.id);
  return null;
}
