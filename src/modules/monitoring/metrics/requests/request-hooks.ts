import { Injectable } from '@nestjs/common';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Clock } from '../../../../core/index.js';
import { RequestRecorder, UNKNOWN_ROUTE } from './request-recorder.js';
import type { Endpoint } from './route-series.js';

const IN_FLIGHT = Symbol('vigia.request');

/** A request under way. */
class InFlight {
  endpoint: Endpoint | undefined;
  ended = false;

  constructor(
    readonly hooks: RequestHooks,
    readonly startedMs: number,
  ) {}
}

type Response = ServerResponse & { [IN_FLIGHT]?: InFlight };

/**
 * Sees every request of a Fastify server. The server's own event starts the watch, because it comes
 * before every hook and also for requests that no hook sees (a malformed URL); `onResponse` ends it,
 * also for refused ones; the response's `close` ends what never got a complete answer. Fastify's
 * `onRequestAbort` would not do: it is silent when the body was already read.
 */
@Injectable()
export class RequestHooks {
  /** Fastify makes one config object per route, so it is the key that needs no text comparison. */
  private readonly endpoints = new WeakMap<object, Endpoint>();
  private server: FastifyInstance['server'] | undefined;

  constructor(
    private readonly recorder: RequestRecorder,
    private readonly clock: Clock,
  ) {}

  /** Call once, before Nest registers its routes. */
  install(fastify: FastifyInstance): void {
    this.server = fastify.server;
    fastify.server.prependListener('request', (_: IncomingMessage, response: Response) =>
      this.begin(response),
    );
    fastify.addHook('onRequest', (request, reply, done) => {
      this.begin(reply.raw).endpoint = this.endpointOf(request);
      done();
    });
    fastify.addHook('onResponse', (request, reply, done) => {
      this.end(request, reply);
      done();
    });
  }

  /** Open HTTP connections, idle ones too; null where there is no server. */
  openConnections(): Promise<number | null> {
    const { server } = this;
    if (!server?.listening) return Promise.resolve(null);
    return new Promise((resolve) => {
      server.getConnections((error, count) => resolve(error ? null : count));
    });
  }

  private begin(response: Response): InFlight {
    const known = response[IN_FLIGHT];
    if (known) return known;
    const flight = (response[IN_FLIGHT] = new InFlight(this, this.clock.monotonicMs()));
    this.recorder.active += 1;
    response.on('close', onClose);
    return flight;
  }

  private end(request: FastifyRequest, reply: FastifyReply): void {
    const flight = this.begin(reply.raw);
    flight.endpoint ??= this.endpointOf(request);
    const { principal } = request;
    if (principal?.kind === 'user') this.recorder.seeUser(principal.id, flight.startedMs);
    this.settle(flight, reply.raw);
  }

  /** Takes a request off the list of those under way, once, and counts how it ended. */
  settle(flight: InFlight, response: Response): void {
    if (flight.ended) return;
    flight.ended = true;
    this.recorder.active -= 1;
    const nowMs = this.clock.monotonicMs();
    const endpoint = flight.endpoint ?? this.recorder.endpoint(response.req.method ?? 'GET', UNKNOWN_ROUTE);
    if (!response.writableFinished || isEventStream(response)) this.recorder.recordAborted(endpoint, nowMs);
    else this.recorder.record(endpoint, response.statusCode, nowMs - flight.startedMs, nowMs);
  }

  private endpointOf(request: FastifyRequest): Endpoint {
    if (request.is404) return this.recorder.endpoint(request.method, UNKNOWN_ROUTE);
    const { config, url } = request.routeOptions;
    const known = this.endpoints.get(config);
    if (known?.method === request.method) return known;
    const endpoint = this.recorder.endpoint(request.method, url ?? UNKNOWN_ROUTE);
    this.endpoints.set(config, endpoint);
    return endpoint;
  }
}

/** One listener for all responses: a closure per request would cost as much as the record itself. */
function onClose(this: Response): void {
  const flight = this[IN_FLIGHT];
  if (flight) flight.hooks.settle(flight, this);
}

/** An EventSource names what it expects; an answer that refuses it is an ordinary one. */
function isEventStream(response: Response): boolean {
  return response.statusCode < 400 && response.req.headers.accept === 'text/event-stream';
}
