import { Catch, Logger, type ArgumentsHost, type ExceptionFilter } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { RateLimitedError } from './errors.js';
import { toProblem } from './problem.js';

/** Answers every failure of a request as `application/problem+json`. */
@Catch()
export class ProblemFilter implements ExceptionFilter {
  catch(error: unknown, host: ArgumentsHost): void {
    const http = host.switchToHttp();
    sendProblem(error, http.getRequest<FastifyRequest>(), http.getResponse<FastifyReply>());
  }
}

const logger = new Logger('Http');

/** The same answer for failures outside Nest: hooks, the router and the body parser. */
export function sendProblem(error: unknown, request: FastifyRequest, reply: FastifyReply): void {
  const problem = toProblem(error, request.id);
  // A defect of ours is logged with its stack; a dependency that is away is health's to report.
  if (problem.status === 500) logDefect(error, request);
  if (reply.sent || reply.raw.headersSent) {
    reply.raw.destroy();
    return;
  }
  if (error instanceof RateLimitedError) {
    void reply.header('Retry-After', Math.max(1, Math.ceil(error.retryAfterMs / 1000)));
  }
  // The router's own failures come here before any hook has run.
  void reply.header('X-Request-Id', request.id);
  if (problem.status === 401) void reply.header('WWW-Authenticate', 'Bearer');
  void reply.status(problem.status).type('application/problem+json').send(JSON.stringify(problem));
}

function logDefect(error: unknown, request: FastifyRequest): void {
  const err = error instanceof Error ? error : new Error(String(error));
  logger.error({ err, requestId: request.id, route: request.routeOptions?.url }, 'request failed');
}
