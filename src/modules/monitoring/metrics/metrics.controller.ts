import { Get, Query } from '@nestjs/common';
import { Answers, Instance, NotFoundError, RestController, Roles } from '../../../core/index.js';
import { Collector } from './collector.js';
import { MetricsSink } from './metrics-sink.port.js';
import {
  instanceQuery,
  snapshotAnswer,
  systemInfoAnswer,
  type InstanceQuery,
  type SystemInfo,
} from './metrics.dto.js';
import type { Snapshot } from './metrics.types.js';
import { SystemInfoReader } from './system-info.js';

/** The latest figures of one instance, and what it runs on. */
@RestController('monitoring')
@Roles('viewer')
export class MetricsController {
  constructor(
    private readonly collector: Collector,
    private readonly sink: MetricsSink,
    private readonly systemInfo: SystemInfoReader,
    private readonly instance: Instance,
  ) {}

  @Get('metrics')
  @Answers(200, 'The latest snapshot, by default of the instance that answers', snapshotAnswer)
  metrics(@Query({ schema: instanceQuery }) { instance }: InstanceQuery): Promise<Snapshot> {
    return this.latest(instance);
  }

  @Get('metrics/current')
  @Answers(200, 'The latest snapshot, by default of the instance that answers', snapshotAnswer)
  current(@Query({ schema: instanceQuery }) { instance }: InstanceQuery): Promise<Snapshot> {
    return this.latest(instance);
  }

  @Get('system/info')
  @Answers(200, 'Host, container limits, versions and start time of this instance', systemInfoAnswer)
  info(): Promise<SystemInfo> {
    return this.systemInfo.read();
  }

  private async latest(instance: string | undefined): Promise<Snapshot> {
    if (instance === undefined || instance === this.instance.id) return this.collector.latest;
    const snapshot = await this.sink.latest(instance);
    if (!snapshot) throw new NotFoundError('an instance of this name');
    return snapshot;
  }
}
