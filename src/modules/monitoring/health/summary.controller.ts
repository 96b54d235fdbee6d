import { Get, Header, Query, Req, Res } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import {
  Admission,
  Answers,
  Fails,
  NotFoundError,
  Public,
  RestController,
  type AccessPolicy,
} from '../../../core/index.js';
import { Collector } from '../metrics/collector.js';
import { summaryQuery, type SummaryQuery } from './health.dto.js';
import { HealthService } from './health.service.js';
import { httpStatusOf } from './http-status.js';

const VIEWER: AccessPolicy = { kind: 'role', role: 'viewer', orAnyKey: false };

/**
 * `GET /api/health`, outside the versioned prefix: the app excludes this path from it. Who may call
 * depends on the query, so the route is open and asks for the credential itself.
 */
@RestController('api/health', 'monitoring')
export class SummaryController {
  constructor(
    private readonly health: HealthService,
    private readonly collector: Collector,
    private readonly admission: Admission,
  ) {}

  @Get()
  @Public()
  @Header('Cache-Control', 'no-store')
  @Answers(
    200,
    'The documents of monitoring by type: basic is open, the others need a viewer; 503 while critical or down',
  )
  @Fails(401, 'Without a credential, for a type other than basic')
  @Fails(403, 'The role viewer is needed for a type other than basic')
  async show(
    @Query({ schema: summaryQuery }) { type }: SummaryQuery,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<object> {
    if (type !== 'basic') await this.admission.admit(request, VIEWER);
    if (type === 'metrics') return this.collector.latest;
    if (type === 'alerts' || type === 'cache') throw new NotFoundError(`health of type ${type}`);
    const health = type === 'detailed' ? this.health.detailed() : this.health.basic();
    void reply.status(httpStatusOf(health.status));
    return health;
  }
}
