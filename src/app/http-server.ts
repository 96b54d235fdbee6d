import { FastifyAdapter } from '@nestjs/platform-fastify';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { v4 as uuidv4 } from 'uuid';
import type { Env } from '../config/env.js';
import { requestIdOf, sendProblem, toProblem } from '../core/index.js';

/** Bodies over this are refused with 413, by their declared length before they are read. */
const MAX_BODY_BYTES = 1_048_576;
/** A client must have sent its whole request within this time: slow ones cannot hold sockets for ever. */
const REQUEST_TIMEOUT_MS = 30_000;
/** Longer than the 60 s after which common reverse proxies drop idle connections, so that they do it first. */
const KEEP_ALIVE_TIMEOUT_MS = 65_000;

const SECURITY_HEADERS = {
  'X-Content-Type-Options': 'nosniff',
  'X-Frame-Options': 'DENY',
  'Referrer-Policy': 'no-referrer',
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Content-Security-Policy': "default-src 'none'; frame-ancestors 'none'",
  'Cache-Control': 'no-store',
} as const;

const DOCS_POLICY =
  "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'";
const HSTS = 'max-age=31536000; includeSubDomains';

/** Fastify with every limit set and every failure answered as a problem document. */
export function createHttpAdapter(env: Env): FastifyAdapter {
  const adapter = new FastifyAdapter({
    bodyLimit: MAX_BODY_BYTES,
    requestTimeout: REQUEST_TIMEOUT_MS,
    keepAliveTimeout: KEEP_ALIVE_TIMEOUT_MS,
    trustProxy: env.TRUSTED_PROXY_CIDRS.length > 0 ? env.TRUSTED_PROXY_CIDRS : false,
    genReqId: ({ headers }: IncomingMessage) => requestIdOf(headers['x-request-id']),
    return503OnClosing: false,
    forceCloseConnections: 'idle',
    frameworkErrors: (error: unknown, request: FastifyRequest, reply: FastifyReply) => {
      setHeaders(request, reply); // hooks have not run when the router itself refuses
      sendProblem(error, request, reply);
    },
    clientErrorHandler: answerUnreadable,
  });
  const fastify = adapter.getInstance();
  fastify.addHook('onRequest', async (request, reply) => setHeaders(request, reply));
  acceptJsonOnly(fastify);
  return adapter;
}

function setHeaders(request: FastifyRequest, reply: FastifyReply): void {
  void reply.header('X-Request-Id', request.id).headers(SECURITY_HEADERS);
  if (request.url.startsWith('/api/docs')) void reply.header('Content-Security-Policy', DOCS_POLICY);
  if (request.protocol === 'https') void reply.header('Strict-Transport-Security', HSTS);
}

/** An empty body is no body, whatever its content type says: many clients label a POST without one. */
function acceptJsonOnly(fastify: FastifyInstance): void {
  const parse = fastify.getDefaultJsonParser('error', 'error');
  fastify.removeAllContentTypeParsers();
  fastify.addContentTypeParser('application/json', { parseAs: 'string' }, (request, body, done) => {
    if (body.length === 0) done(null, undefined);
    else void parse(request, body as string, done);
  });
}

const UNREADABLE: Readonly<Record<string, number>> = {
  ERR_HTTP_REQUEST_TIMEOUT: 408,
  HPE_HEADER_OVERFLOW: 431,
};

/** Bytes that are not HTTP never reach a route; the answer has the same shape all the same. */
function answerUnreadable(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === 'ECONNRESET' || socket.destroyed || !socket.writable) {
    socket.destroy();
    return;
  }
  const requestId = uuidv4();
  const problem = toProblem(
    { statusCode: UNREADABLE[error.code ?? ''] ?? 400, code: 'HPE_UNREADABLE' },
    requestId,
  );
  const body = JSON.stringify(problem);
  socket.end(
    `HTTP/1.1 ${problem.status} ${problem.title}\r\nContent-Type: application/problem+json\r\n` +
      `Content-Length: ${Buffer.byteLength(body)}\r\nX-Request-Id: ${requestId}\r\nConnection: close\r\n\r\n${body}`,
  );
}
