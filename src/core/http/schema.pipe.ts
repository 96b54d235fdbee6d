import { Injectable, type ArgumentMetadata, type PipeTransform } from '@nestjs/common';
import { ValidationFailedError, type FieldError } from '../errors/errors.js';

/** At most this many faults are reported: a body of 500 bad samples must not answer with megabytes. */
const MAX_REPORTED_FAULTS = 20;
const MAX_PATH_CHARACTERS = 200;

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
    throw new ValidationFailedError(result.issues.flatMap(toFieldErrors).slice(0, MAX_REPORTED_FAULTS));
  }
}

/** What zod adds to a standard issue. */
interface Issue {
  readonly message: string;
  readonly path?: readonly unknown[] | undefined;
  readonly code?: string;
  readonly keys?: readonly string[];
}

/** Unknown fields come as one issue of the object around them; clients are told of each by its own path. */
function toFieldErrors(issue: Issue): FieldError[] {
  const path = (issue.path ?? []).map((part) => String(isSegment(part) ? part.key : part));
  if (issue.code !== 'unrecognized_keys') return [{ path: shown(path), message: issue.message }];
  return (issue.keys ?? []).map((key) => ({
    path: shown([...path, key]),
    message: 'is not a known field',
  }));
}

/** A caller's own field names come back in the answer, but not at any length. */
function shown(path: readonly string[]): string {
  return path.join('.').slice(0, MAX_PATH_CHARACTERS);
}

function isSegment(part: unknown): part is { key: PropertyKey } {
  return typeof part === 'object' && part !== null && 'key' in part;
}
