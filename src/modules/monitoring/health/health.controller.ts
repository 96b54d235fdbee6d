import { Get, Header, Post, Query, Res } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import { Answers, Public, RestController, Roles } from '../../../core/index.js';
import {
  detailedAnswer,
  healthAnswer,
  probeAnswer,
  uptimeAnswer,
  uptimeQuery,
  type DetailedAnswer,
  type HealthAnswer,
  type ProbeAnswer,
  type UptimeAnswer,
  type UptimeQuery,
} from './health.dto.js';
import { HealthService } from './health.service.js';
import { httpStatusOf } from './http-status.js';
import { UptimeService } from './uptime.service.js';

/** Health as probes, load balancers and operators ask for it. */
@RestController('monitoring')
export class HealthController {
  constructor(
    private readonly health: HealthService,
    private readonly uptimes: UptimeService,
  ) {}

  @Get('health')
  @Public()
  @Header('Cache-Control', 'no-store')
  @Answers(200, 'Status and score of the answering instance; 503 while it is critical or down', healthAnswer)
  basic(@Res({ passthrough: true }) reply: FastifyReply): HealthAnswer {
    const health = this.health.basic();
    void reply.status(httpStatusOf(health.status));
    return health;
  }

  /** That this answers is the proof: it looks at nothing, so no other system's failure restarts us. */
  @Get('health/live')
  @Public()
  @Header('Cache-Control', 'no-store')
  @Answers(200, 'Liveness: the event loop turns', probeAnswer)
  live(): ProbeAnswer {
    return { status: 'up' };
  }

  @Get('health/ready')
  @Public()
  @Header('Cache-Control', 'no-store')
  @Answers(200, 'Readiness: the database answers and no stop was asked for; else 503', probeAnswer)
  ready(@Res({ passthrough: true }) reply: FastifyReply): ProbeAnswer {
    return probe(reply, this.health.isReady());
  }

  @Get('health/startup')
  @Public()
  @Header('Cache-Control', 'no-store')
  @Answers(200, 'Startup: the application has finished starting; else 503', probeAnswer)
  startup(@Res({ passthrough: true }) reply: FastifyReply): ProbeAnswer {
    return probe(reply, this.health.hasStarted());
  }

  @Get('health/detailed')
  @Roles('viewer')
  @Header('Cache-Control', 'no-store')
  @Answers(200, 'Every component with the age of its result, and what lowers the score', detailedAnswer)
  detailed(@Res({ passthrough: true }) reply: FastifyReply): DetailedAnswer {
    const health = this.health.detailed();
    void reply.status(httpStatusOf(health.status));
    return health;
  }

  @Post('health/check')
  @Roles('operator')
  @Answers(
    200,
    'Runs every check now, each within its own time-out; later callers join the round',
    detailedAnswer,
  )
  check(): Promise<DetailedAnswer> {
    return this.health.checkNow();
  }

  @Get('uptime')
  @Roles('viewer')
  @Answers(
    200,
    'Time up, degraded, down and unwatched per component, by default of the last 30 days',
    uptimeAnswer,
  )
  async uptime(@Query({ schema: uptimeQuery }) query: UptimeQuery): Promise<UptimeAnswer> {
    return { items: await this.uptimes.read(query) };
  }
}

function probe(reply: FastifyReply, good: boolean): ProbeAnswer {
  void reply.status(good ? 200 : 503);
  return { status: good ? 'up' : 'down' };
}
