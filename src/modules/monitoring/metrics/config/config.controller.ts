import { Body, Get, Put } from '@nestjs/common';
import { Answers, Fails, Audited, RestController, Roles } from '../../../../core/index.js';
import { configAnswer, configBody, type ConfigBody, type MonitoringSettings } from './config.dto.js';
import { MonitoringConfig } from './monitoring-config.js';

/** Intervals, retention and thresholds, applied live on every instance. */
@RestController('monitoring')
export class ConfigController {
  constructor(private readonly config: MonitoringConfig) {}

  @Get('config')
  @Roles('viewer')
  @Answers(200, 'The configuration in force: what is stored, with defaults for the rest', configAnswer)
  show(): MonitoringSettings {
    return this.config.current();
  }

  @Put('config')
  @Roles('admin')
  @Audited('monitoring.config')
  @Answers(200, 'Replaces the stored configuration; what is left out returns to its default', configAnswer)
  @Fails(409, 'CONFLICT: it was changed since the given version was read')
  replace(@Body({ schema: configBody }) body: ConfigBody): Promise<MonitoringSettings> {
    return this.config.replace(body);
  }
}
