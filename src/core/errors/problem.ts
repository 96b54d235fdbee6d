import { HttpException } from '@nestjs/common';
import { VigiaError, type FieldError } from './errors.js';

/** RFC 9457 problem document. */
export interface Problem {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly code: string;
  readonly requestId: string;
  readonly errors?: readonly FieldError[];
}

/** The fields that Fastify's own errors carry. */
interface FrameworkError {
  readonly statusCode: number;
  readonly code?: string;
}

const CODES: Readonly<Record<number, { readonly code: string; readonly title: string }>> = {
  400: { code: 'VALIDATION_FAILED', title: 'Bad Request' },
  401: { code: 'UNAUTHENTICATED', title: 'Unauthorized' },
  403: { code: 'FORBIDDEN', title: 'Forbidden' },
  404: { code: 'NOT_FOUND', title: 'Not Found' },
  405: { code: 'METHOD_NOT_ALLOWED', title: 'Method Not Allowed' },
  406: { code: 'NOT_ACCEPTABLE', title: 'Not Acceptable' },
  408: { code: 'REQUEST_TIMEOUT', title: 'Request Timeout' },
  409: { code: 'CONFLICT', title: 'Conflict' },
  413: { code: 'PAYLOAD_TOO_LARGE', title: 'Content Too Large' },
  414: { code: 'URI_TOO_LONG', title: 'URI Too Long' },
  415: { code: 'UNSUPPORTED_MEDIA_TYPE', title: 'Unsupported Media Type' },
  422: { code: 'VALIDATION_FAILED', title: 'Unprocessable Content' },
  429: { code: 'RATE_LIMITED', title: 'Too Many Requests' },
  431: { code: 'HEADERS_TOO_LARGE', title: 'Request Header Fields Too Large' },
  500: { code: 'INTERNAL', title: 'Internal Server Error' },
  503: { code: 'DEPENDENCY_UNAVAILABLE', title: 'Service Unavailable' },
};

/** Fastify's own errors, and those of Node's HTTP parser. */
const FRAMEWORK_CODE = /^(FST_|HPE_|ERR_HTTP_)/;

const INTERNAL_DETAIL = 'an unexpected error happened; quote the request id when you report it';

/** Details for framework errors: their own messages can hold paths or parser internals. */
const DETAILS: Readonly<Record<number, string>> = {
  400: 'the request could not be read: malformed JSON or URL',
  404: 'there is nothing at this path for this method',
  413: 'the body is larger than 1 MiB',
  414: 'the URL is too long',
  415: 'send application/json, without a content encoding',
};

/** Turns anything thrown into the one document that clients see. */
export function toProblem(error: unknown, requestId: string): Problem {
  if (error instanceof VigiaError) {
    const { status, code, message, errors, extra } = error;
    return {
      ...extra,
      type: 'about:blank',
      title: titleOf(status),
      status,
      detail: message,
      code,
      requestId,
      ...(errors && { errors }),
    };
  }
  const status = statusOf(error);
  const known = CODES[status];
  return {
    type: 'about:blank',
    title: titleOf(status),
    status,
    detail: status >= 500 ? INTERNAL_DETAIL : (DETAILS[status] ?? titleOf(status)),
    code: known?.code ?? (status >= 500 ? 'INTERNAL' : 'VALIDATION_FAILED'),
    requestId,
  };
}

/** The code and title a status has when nothing more exact is said. */
export function titleOf(status: number): string {
  return CODES[status]?.title ?? (status >= 500 ? 'Internal Server Error' : 'Request Failed');
}

function statusOf(error: unknown): number {
  if (error instanceof HttpException) return error.getStatus();
  if (isFrameworkError(error)) return error.statusCode;
  return 500;
}

/** Fastify marks its own errors with a 4xx status and an `FST_` code; a stray `statusCode` is not trusted. */
function isFrameworkError(error: unknown): error is FrameworkError {
  if (typeof error !== 'object' || error === null || !('statusCode' in error) || !('code' in error))
    return false;
  const { statusCode, code } = error;
  if (typeof statusCode !== 'number' || typeof code !== 'string') return false;
  return statusCode >= 400 && statusCode < 500 && FRAMEWORK_CODE.test(code);
}
