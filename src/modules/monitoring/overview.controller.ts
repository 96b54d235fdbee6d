import { Get } from '@nestjs/common';
import { Answers, RestController, Roles } from '../../core/index.js';
import { dashboardAnswer, indexAnswer, type IndexAnswer } from './health/health.dto.js';
import { Overview, type DashboardDocument } from './overview.js';
import { RouteIndex } from './route-index.js';

/** The section's index, and one document for its overview page. */
@RestController('monitoring')
@Roles('viewer')
export class OverviewController {
  constructor(
    private readonly index: RouteIndex,
    private readonly overview: Overview,
  ) {}

  @Get()
  @Answers(200, 'This index: every route of the section with a line about it', indexAnswer)
  list(): IndexAnswer {
    return this.index.read();
  }

  @Get('dashboard')
  @Answers(200, 'All that the overview page shows, in one document', dashboardAnswer)
  dashboard(): Promise<DashboardDocument> {
    return this.overview.read();
  }
}
