import { Body, Delete, Get, Param, Post, Put, Query } from '@nestjs/common';
import { Answers, Fails, Audited, RestController, Roles, type Page } from '../../../core/index.js';
import {
  checkAnswer,
  checkBody,
  checkParams,
  checksAnswer,
  checksQuery,
  type CheckAnswer,
  type CheckBody,
  type CheckParams,
  type ChecksQuery,
} from './checks.dto.js';
import { OutsideChecks } from './outside-checks.service.js';

/** Targets outside of ours that are watched. */
@RestController('monitoring/checks', 'monitoring')
@Roles('admin')
export class ChecksController {
  constructor(private readonly checks: OutsideChecks) {}

  @Get()
  @Roles('viewer')
  @Answers(200, 'Outside targets that are watched, by name', checksAnswer)
  list(@Query({ schema: checksQuery }) query: ChecksQuery): Promise<Page<CheckAnswer>> {
    return this.checks.list(query);
  }

  @Post()
  @Audited('check.create')
  @Answers(200, 'Watches one more outside target, from now on', checkAnswer)
  @Fails(409, 'CONFLICT: the name is taken; LIMIT_REACHED: there are 200 already')
  create(@Body({ schema: checkBody }) body: CheckBody): Promise<CheckAnswer> {
    return this.checks.create(body);
  }

  @Put(':id')
  @Audited('check.replace', { target: 'id' })
  @Answers(200, 'Replaces an outside target', checkAnswer)
  @Fails(409, 'CONFLICT: the name is taken')
  replace(
    @Param({ schema: checkParams }) { id }: CheckParams,
    @Body({ schema: checkBody }) body: CheckBody,
  ): Promise<CheckAnswer> {
    return this.checks.replace(id, body);
  }

  @Delete(':id')
  @Audited('check.delete', { target: 'id' })
  @Answers(204, 'Stops watching an outside target and forgets what was seen of it')
  remove(@Param({ schema: checkParams }) { id }: CheckParams): Promise<void> {
    return this.checks.remove(id);
  }
}
