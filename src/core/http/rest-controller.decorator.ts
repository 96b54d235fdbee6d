import { applyDecorators, Controller, SetMetadata, UseFilters, UsePipes } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import { ProblemFilter } from '../errors/problem.filter.js';
import { SchemaPipe } from './schema.pipe.js';

/** Marks controllers whose routes the HTTP boundary must guard. */
export const REST_CONTROLLER = 'vigia:rest-controller';

/**
 * A controller that keeps the HTTP conventions wherever it is mounted: schema-checked input and
 * problem documents. Its routes name who may call them by `@Roles` or `@Public`.
 */
export const RestController = (path: string, tag = path): ClassDecorator =>
  applyDecorators(
    Controller(path),
    SetMetadata(REST_CONTROLLER, true),
    ApiTags(tag),
    UsePipes(SchemaPipe),
    UseFilters(ProblemFilter),
  );
