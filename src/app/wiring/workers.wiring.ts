import { Module } from '@nestjs/common';
import { Jobs } from '../../core/index.js';
import { WorkersProbe } from '../../modules/monitoring/index.js';

/** Health asks core's job queues whether their workers work. */
@Module({ providers: [{ provide: WorkersProbe, useExisting: Jobs }], exports: [WorkersProbe] })
export class WorkersWiring {}
