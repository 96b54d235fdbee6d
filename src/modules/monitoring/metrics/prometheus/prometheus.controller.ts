import { Get, Header, Req } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import {
  Admission,
  Answers,
  Fails,
  isWithin,
  parseCidrs,
  Public,
  RestController,
  type AccessPolicy,
  type Cidr,
} from '../../../../core/index.js';
import { MonitoringOptions } from '../../monitoring.options.js';
import { PrometheusExposition } from './exposition.js';

const VIEWER: AccessPolicy = { kind: 'role', role: 'viewer', orAnyKey: false };

/**
 * `/metrics`, outside the API's prefix. Public to the HTTP boundary, because an allowed address needs
 * no credential; the handler asks everyone else for the role viewer.
 */
@RestController('metrics', 'monitoring')
export class PrometheusController {
  private readonly allowed: readonly Cidr[];

  constructor(
    private readonly exposition: PrometheusExposition,
    private readonly admission: Admission,
    options: MonitoringOptions,
  ) {
    this.allowed = parseCidrs(options.metricsAllowedCidrs ?? []);
  }

  @Get()
  @Public()
  @Answers(200, 'Metrics of this instance in the Prometheus text format')
  @Fails(401, 'Without a credential, from an address that METRICS_ALLOWED_CIDRS does not list')
  @Fails(403, 'The role viewer is needed')
  @Header('Content-Type', 'text/plain; version=0.0.4; charset=utf-8')
  async scrape(@Req() request: FastifyRequest): Promise<string> {
    if (!isWithin(request.ip, this.allowed)) await this.admission.admit(request, VIEWER);
    return this.exposition.text();
  }
}
