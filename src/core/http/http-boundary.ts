import { HttpStatus, Inject, Injectable, RequestMethod } from '@nestjs/common';
import { DiscoveryService, MetadataScanner } from '@nestjs/core';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Principal } from '../access/principal.js';
import { ValidationFailedError, VigiaError } from '../errors/errors.js';
import { sendProblem } from '../errors/problem.filter.js';
import { Admission } from './admission.js';
import { REST_CONTROLLER } from './rest-controller.decorator.js';
import { routePolicyOf, type RoutePolicy } from './route-policy.js';

declare module 'fastify' {
  interface FastifyRequest {
    /** Who is calling; absent on public routes. */
    principal?: Principal;
  }
}

// Metadata keys of Nest and of its Fastify adapter.
const PATH = 'path';
const METHOD = 'method';
const STATUS = '__httpCode__';
const ROUTE_CONFIG = '__fastify_route_config__';

/**
 * What every Vigia route goes through before its body is read: request id, authentication, role,
 * and refusal of inputs that the route does not declare. Fastify hooks, because a Nest guard runs
 * only after the body was parsed and costs ten times as much.
 */
@Injectable()
export class HttpBoundary {
  constructor(
    @Inject(DiscoveryService) private readonly discovery: DiscoveryService,
    private readonly scanner: MetadataScanner,
    private readonly admission: Admission,
  ) {}

  /**
   * For an application without Fastify's hooks.
   * @throws Error when a route of Vigia is mounted there, where nothing would guard it
   */
  refuseRoutes(): void {
    for (const { metatype } of this.discovery.getControllers()) {
      if (metatype && Reflect.getMetadata(REST_CONTROLLER, metatype)) {
        throw new Error(
          `${metatype.name} needs the Fastify adapter: nothing would guard its routes on another`,
        );
      }
    }
  }

  /** Call once, before Nest registers its routes. */
  install(fastify: FastifyInstance): void {
    this.describeRoutes();
    fastify.decorateRequest('principal', undefined);
    fastify.addHook('onRequest', async (request, reply) => this.admit(request, reply));
    fastify.addHook('preValidation', async (request, reply) => {
      try {
        refuseUndeclaredBody(request);
      } catch (error) {
        sendProblem(error, request, reply); // a surrounding app's own filter knows no problem documents
      }
    });
  }

  /** Hands each handler's policy to Fastify's route config, where the hooks find it without a lookup. */
  private describeRoutes(): void {
    for (const { metatype } of this.discovery.getControllers()) {
      if (!metatype) continue;
      for (const name of this.scanner.getAllMethodNames(metatype.prototype as object)) {
        describeRoute(metatype as new (...args: never[]) => object, name);
      }
    }
  }

  private async admit(request: FastifyRequest, reply: FastifyReply): Promise<void> {
    const policy = request.routeOptions.config.vigia;
    if (!policy) return; // a route of the surrounding application
    void reply.header('X-Request-Id', request.id);
    try {
      await this.admission.admit(request, policy.access);
      refuseUndeclaredQuery(request, policy);
      refuseContentEncoding(request);
      refuseBodyOfGet(request);
    } catch (error) {
      sendProblem(error, request, reply);
    }
  }
}

function describeRoute(controller: new (...args: never[]) => object, name: string): void {
  const handler = (controller.prototype as Record<string, unknown>)[name] as (...args: unknown[]) => unknown;
  if (Reflect.getMetadata(PATH, handler) === undefined) return;
  const policy = routePolicyOf(controller, handler, name);
  if (!policy && Reflect.getMetadata(REST_CONTROLLER, controller)) {
    throw new Error(
      `${controller.name}.${name} says neither @Roles nor @Public: nobody may guess who may call it`,
    );
  }
  if (!policy) return;
  const config = (Reflect.getMetadata(ROUTE_CONFIG, handler) ?? {}) as object;
  Reflect.defineMetadata(ROUTE_CONFIG, { ...config, vigia: policy }, handler);
  if (
    Reflect.getMetadata(STATUS, handler) === undefined &&
    Reflect.getMetadata(METHOD, handler) === RequestMethod.POST
  ) {
    Reflect.defineMetadata(STATUS, HttpStatus.OK, handler); // Nest's own default is 201
  }
}

function refuseUndeclaredQuery(request: FastifyRequest, { declares }: RoutePolicy): void {
  if (declares.query) return;
  refuseFields(Object.keys(request.query as object), 'this route takes no query parameters');
}

/** A body that inflates is a body without a bound, so none is accepted. */
function refuseContentEncoding({ headers }: FastifyRequest): void {
  const encoding = headers['content-encoding'];
  if (encoding === undefined || encoding === 'identity') return;
  throw new VigiaError(415, 'UNSUPPORTED_MEDIA_TYPE', 'send application/json, without a content encoding');
}

/** Fastify does not read these bodies, so they would pass unseen instead of being refused. */
function refuseBodyOfGet({ method, headers }: FastifyRequest): void {
  if (method !== 'GET' && method !== 'HEAD') return;
  const empty = headers['transfer-encoding'] === undefined && Number(headers['content-length'] ?? 0) === 0;
  if (!empty) refuseFields([''], 'this route takes no body');
}

function refuseUndeclaredBody(request: FastifyRequest): void {
  const policy = request.routeOptions.config.vigia;
  if (!policy || policy.declares.body || request.body == null) return;
  const fields = typeof request.body === 'object' ? Object.keys(request.body) : [''];
  refuseFields(fields, 'this route takes no body');
}

function refuseFields(fields: readonly string[], message: string): void {
  if (fields.length === 0) return;
  throw new ValidationFailedError(fields.slice(0, 20).map((path) => ({ path, message })));
}
