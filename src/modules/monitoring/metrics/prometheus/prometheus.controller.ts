import { Get, Header, Inject, Req } from '@nestjs/common';
import { ModuleRef } from '@nestjs/core';
import type { FastifyRequest } from 'fastify';
import {
  Answers,
  Authenticator,
  authorize,
  credentialsOf,
  isWithin,
  parseCidrs,
  Public,
  RestController,
  UnauthenticatedError,
  type Cidr,
} from '../../../../core/index.js';
import { MonitoringOptions } from '../../monitoring.options.js';
import { PrometheusExposition } from './exposition.js';

/**
 * `/metrics`, outside the API's prefix. Public to the HTTP boundary, because an allowed address needs
 * no credential; the handler asks everyone else for the role viewer.
 */
@RestController('metrics', 'monitoring')
export class PrometheusController {
  private readonly allowed: readonly Cidr[];

  constructor(
    private readonly exposition: PrometheusExposition,
    @Inject(ModuleRef) private readonly moduleRef: ModuleRef,
    options: MonitoringOptions,
  ) {
    this.allowed = parseCidrs(options.metricsAllowedCidrs ?? []);
  }

  @Get()
  @Public()
  @Answers(200, 'Metrics of this instance in the Prometheus text format')
  @Header('Content-Type', 'text/plain; version=0.0.4; charset=utf-8')
  async scrape(@Req() request: FastifyRequest): Promise<string> {
    if (!isWithin(request.ip, this.allowed)) await this.admit(request);
    return this.exposition.text();
  }

  private async admit(request: FastifyRequest): Promise<void> {
    const authenticator = this.authenticator();
    if (!authenticator) throw new UnauthenticatedError('no authenticator is configured');
    request.principal = await authenticator.authenticate(credentialsOf(request.headers));
    authorize({ kind: 'role', role: 'viewer', orAnyKey: false }, request.principal);
  }

  private authenticator(): Authenticator | undefined {
    try {
      return this.moduleRef.get<Authenticator>(Authenticator, { strict: false });
    } catch {
      return undefined; // nobody bound one: then only allowed addresses may read
    }
  }
}
