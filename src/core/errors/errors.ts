/** One fault of an input: where it is and what would be right. */
export interface FieldError {
  /** Path from the input's root, e.g. `samples.3.name`; empty for the whole input. */
  readonly path: string;
  readonly message: string;
}

export interface VigiaErrorOptions {
  readonly cause?: unknown;
  readonly errors?: readonly FieldError[];
  /** Further members of the problem document, e.g. `retryAfterMs`. */
  readonly extra?: Readonly<Record<string, unknown>>;
}

/**
 * A failure that clients may see. `code` is stable and upper snake case, `status` the HTTP status,
 * `message` becomes the problem's `detail` and so never holds a secret, a path or SQL.
 */
export class VigiaError extends Error {
  readonly errors: readonly FieldError[] | undefined;
  readonly extra: Readonly<Record<string, unknown>> | undefined;

  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    options: VigiaErrorOptions = {},
  ) {
    super(message, { cause: options.cause });
    this.name = new.target.name;
    this.errors = options.errors;
    this.extra = options.extra;
  }
}

export class ValidationFailedError extends VigiaError {
  constructor(errors: readonly FieldError[]) {
    const first = errors[0];
    const where = first?.path ? `${first.path}: ` : '';
    super(400, 'VALIDATION_FAILED', `${where}${first?.message ?? 'the input is not valid'}`, { errors });
  }
}

export class UnauthenticatedError extends VigiaError {
  constructor(message = 'a valid credential is required', options?: VigiaErrorOptions) {
    super(401, 'UNAUTHENTICATED', message, options);
  }
}

export class ForbiddenError extends VigiaError {
  constructor(message = 'your role does not allow this') {
    super(403, 'FORBIDDEN', message);
  }
}

export class NotFoundError extends VigiaError {
  constructor(what: string) {
    super(404, 'NOT_FOUND', `${what} was not found`);
  }
}

export class ConflictError extends VigiaError {
  constructor(message: string, code = 'CONFLICT', options?: VigiaErrorOptions) {
    super(409, code, message, options);
  }
}

export class RateLimitedError extends VigiaError {
  constructor(
    message: string,
    readonly retryAfterMs: number,
    nowMs: number,
  ) {
    super(429, 'RATE_LIMITED', message, {
      extra: { retryAfterMs, resetAt: new Date(nowMs + retryAfterMs).toISOString() },
    });
  }
}

/** Something this request needs (PostgreSQL, Redis, an object store) cannot be reached just now. */
export class DependencyUnavailableError extends VigiaError {
  constructor(dependency: string, cause?: unknown) {
    super(503, 'DEPENDENCY_UNAVAILABLE', `${dependency} is not reachable just now; try again shortly`, {
      cause,
    });
  }
}
