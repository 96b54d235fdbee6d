import { Get, Query } from '@nestjs/common';
import { Answers, RestController, Roles } from '../../../../core/index.js';
import {
  performanceAnswer,
  performanceQuery,
  type PerformanceAnswer,
  type PerformanceQuery,
} from './performance.dto.js';
import { PerformanceService } from './performance.service.js';

/** How fast the routes of this service answer. */
@RestController('monitoring')
export class PerformanceController {
  constructor(private readonly performance: PerformanceService) {}

  @Get('performance')
  @Roles('viewer')
  @Answers(
    200,
    'Requests, errors and latencies per route over all instances, highest p95 first',
    performanceAnswer,
  )
  read(
    @Query({ schema: performanceQuery }) { window, instance }: PerformanceQuery,
  ): Promise<PerformanceAnswer> {
    return this.performance.read(window, instance ?? null);
  }
}
