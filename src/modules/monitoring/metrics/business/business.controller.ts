import { Body, Post } from '@nestjs/common';
import { Answers, RestController, Roles } from '../../../../core/index.js';
import { samplesAnswer, samplesBody, type SamplesAnswer, type SamplesBody } from './business.dto.js';
import { BusinessService } from './business.service.js';

/** Gauges of other programs, stored as `business.<name>`. */
@RestController('monitoring')
export class BusinessController {
  constructor(private readonly business: BusinessService) {}

  @Post('metrics')
  @Roles('operator', 'key')
  @Answers(
    202,
    'Stores business samples; a bad one rejects itself alone, what is accepted is on disk',
    samplesAnswer,
  )
  post(@Body({ schema: samplesBody }) { samples }: SamplesBody): Promise<SamplesAnswer> {
    return this.business.accept(samples);
  }
}
