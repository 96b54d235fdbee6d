import { applyDecorators, Controller, UseFilters, UsePipes } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import { ProblemFilter } from '../errors/problem.filter.js';
import { SchemaPipe } from './schema.pipe.js';

/**
 * A controller that keeps the HTTP conventions wherever it is mounted: schema-checked input and
 * problem documents. Its routes name who may call them by `@Roles` or `@Public`.
 */
export const RestController = (path: string, tag = path): ClassDecorator =>
  applyDecorators(Controller(path), ApiTags(tag), UsePipes(SchemaPipe), UseFilters(ProblemFilter));
