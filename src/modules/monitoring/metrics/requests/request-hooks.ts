import { Injectable } from '@nestjs/common';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Clock } from '../../../../core/index.js';
import { RequestRecorder, UNKNOWN_ROUTE } from './request-recorder.js';
import type { Endpoint } from './route-series.js';

const IN_FLIGHT = Symbol('vigia.request');

/** Shorter event streams are counted as ordinary answers, which spares every other request the look at its headers. */
const LEAST_STREAM_MS = 1_000;

/** A request under way. */
class InFlight {
  /** Absent for requests that never reach a hook: a malformed URL. */
  request: FastifyRequest | undefined;

  constructor(
    readonly hooks: RequestHooks,
    readonly startedMs: number,
  ) {}
}

type Response = ServerResponse & { [IN_FLIGHT]?: InFlight | undefined };

/**
 * Sees every request of a Fastify server. The server's own event starts the watch, because some
 * requests reach no hook; `onRequest` tells whose route it is; the response's `close` ends it, whether
 * the answer was complete or not. Fastify's `onResponse` would cost 3 µs more and misses aborted
 * requests, and its `onRequestAbort` is silent once the body was read.
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

  /** Call once, before any other hook that may answer: what was answered before has no route here. */
  install(fastify: FastifyInstance): void {
    this.server = fastify.server;
    fastify.server.prependListener('request', (_: IncomingMessage, response: Response) =>
      this.begin(response),
    );
    fastify.addHook('onRequest', (request, reply, done) => {
      this.begin(reply.raw).request = request;
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

  /** Counts how a request ended. */
  end({ request, startedMs }: InFlight, response: Response): void {
    const { recorder } = this;
    const nowMs = this.clock.monotonicMs();
    recorder.active -= 1;
    if (request?.principal?.kind === 'user') recorder.seeUser(request.principal.id, nowMs);
    const endpoint = request
      ? this.endpointOf(request)
      : recorder.endpoint(response.req.method ?? 'GET', UNKNOWN_ROUTE);
    const durationMs = nowMs - startedMs;
    if (!response.writableFinished || isEventStream(response, durationMs))
      recorder.recordAborted(endpoint, nowMs);
    else recorder.record(endpoint, response.statusCode, durationMs, nowMs);
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
  if (!flight) return;
  this[IN_FLIGHT] = undefined; // `close` comes once, but a second one must not count twice
  flight.hooks.end(flight, this);
}

/** An EventSource names what it expects; an answer that refuses it is an ordinary one. */
function isEventStream({ statusCode, req }: Response, durationMs: number): boolean {
  return durationMs >= LEAST_STREAM_MS && statusCode < 400 && req.headers.accept === 'text/event-stream';
}
