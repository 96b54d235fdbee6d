import { Injectable, type ArgumentMetadata, type PipeTransform } from '@nestjs/common';
import { ValidationFailedError, type FieldError } from '../errors/errors.js';

/** At most this many faults are reported: a body of 500 bad samples must not answer with megabytes. */
const MAX_REPORTED_FAULTS = 20;

/**
 * Checks `@Body({ schema })`, `@Query({ schema })` and `@Param({ schema })` against their schema and
 * hands the handler the parsed value. An absent body counts as `{}`, so that a POST whose fields are
 * all optional may be sent without one.
 */
@Injectable()
export class SchemaPipe implements PipeTransform {
  async transform(value: unknown, { schema, type }: ArgumentMetadata): Promise<unknown> {
    if (!schema) return value;
    const input = type === 'body' && value == null ? {} : value;
    const result = await schema['~standard'].validate(input);
    if (!result.issues) return result.value;
    throw new ValidationFailedError(result.issues.slice(0, MAX_REPORTED_FAULTS).map(toFieldError));
  }
}

type Issue = {
  readonly message: string;
  readonly path?: readonly unknown[] | undefined;
  readonly code?: string;
  readonly keys?: readonly string[];
};

function toFieldError(issue: Issue): FieldError {
  const path = (issue.path ?? []).map((part) => String(isSegment(part) ? part.key : part)).join('.');
  return { path, message: issue.message };
}

function isSegment(part: unknown): part is { key: PropertyKey } {
  return typeof part === 'object' && part !== null && 'key' in part;
}
