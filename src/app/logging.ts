import type { DynamicModule } from '@nestjs/common';
import { LoggerModule } from 'nestjs-pino';
import { stdTimeFunctions, type LoggerOptions } from 'pino';

/**
 * Wherever one of these names appears in a logged object, two levels deep, its value is replaced.
 * Logging whole requests or configurations is not done anywhere; this is the second line of defence.
 */
const SECRET_NAMES = [
  'authorization',
  'cookie',
  'password',
  'currentPassword',
  'newPassword',
  'refreshToken',
  'accessToken',
  'token',
  'secret',
  'apiKey',
  '"x-api-key"',
  'key',
  'connectionString',
  'url',
];

/** One JSON object a line; pino escapes line breaks, so nothing that comes in can forge a line. */
export function loggerOptions(level: string): LoggerOptions {
  return {
    level,
    base: null,
    timestamp: stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
    serializers: { err: errorForLog },
    redact: {
      paths: SECRET_NAMES.flatMap((name) => [at('', name), at('*', name), at('*.*', name)]),
      censor: '[redacted]',
    },
  };
}

/** Request logging stays off: metrics and audit say what happened, at a hundredth of the cost. */
export function loggingModule(level: string): DynamicModule {
  return LoggerModule.forRoot({ pinoHttp: { ...loggerOptions(level), autoLogging: false }, forRoutes: [] });
}

function at(parent: string, name: string): string {
  if (name.startsWith('"')) return `${parent}[${name}]`;
  return parent ? `${parent}.${name}` : name;
}

/** Field by field: a PostgreSQL error carries the failing row in `detail`, and libraries add what they like. */
function errorForLog(error: unknown): object {
  if (!(error instanceof Error)) return { message: String(error) };
  const { name, message, stack, cause } = error;
  const { code, constraint } = error as { code?: unknown; constraint?: unknown };
  return {
    type: name,
    message,
    stack,
    ...(typeof code === 'string' && { code }),
    ...(typeof constraint === 'string' && { constraint }),
    ...(cause instanceof Error && { cause: `${cause.name}: ${cause.message}` }),
  };
}
