import { applyDecorators, HttpCode } from '@nestjs/common';
import { ApiOperation, ApiResponse } from '@nestjs/swagger';
import type { z } from 'zod';

/**
 * Says what a route answers, for the OpenAPI document; the status is also the one that is sent.
 * @param summary one line that says what the route is for
 */
export function Answers(status: number, summary: string, schema?: z.ZodType): MethodDecorator {
  return applyDecorators(
    HttpCode(status),
    ApiOperation({ summary }),
    ApiResponse({ status, description: summary, ...(schema && { standardSchema: schema }) }),
  );
}

/** Says in which case a route fails in a way of its own, beside the failures that all routes share. */
export function Fails(status: number, when: string): MethodDecorator {
  const schema = { $ref: '#/components/schemas/Problem' };
  return ApiResponse({ status, description: when, content: { 'application/problem+json': { schema } } });
}
