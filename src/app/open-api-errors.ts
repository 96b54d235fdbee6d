import type { INestApplication } from '@nestjs/common';
import { DiscoveryService, MetadataScanner } from '@nestjs/core';
import type { OpenAPIObject } from '@nestjs/swagger';
import { routePolicyOf, type RoutePolicy } from '../core/index.js';

type Operation = NonNullable<OpenAPIObject['paths'][string]['get']>;

const PROBLEM_SCHEMA = {
  type: 'object' as const,
  description: 'RFC 9457 problem document. `code` is stable.',
  required: ['type', 'title', 'status', 'detail', 'code', 'requestId'],
  properties: {
    type: { type: 'string' },
    title: { type: 'string' },
    status: { type: 'integer' },
    detail: { type: 'string' },
    code: { type: 'string', examples: ['VALIDATION_FAILED'] },
    requestId: { type: 'string' },
    errors: {
      type: 'array',
      items: {
        type: 'object',
        required: ['path', 'message'],
        properties: { path: { type: 'string' }, message: { type: 'string' } },
      },
    },
  },
};

const DESCRIPTIONS: Readonly<Record<string, string>> = {
  400: 'Unknown or malformed input',
  401: 'Missing or bad credential',
  403: 'The role does not allow this',
  404: 'No such thing',
  413: 'The body is larger than 1 MiB',
  415: 'The body is not application/json, or it is compressed',
  429: 'Too many requests; Retry-After says when to come back',
  500: 'A defect of ours; quote the request id',
  503: 'A dependency is not reachable just now',
};

/** Adds to every operation who may call it and how it fails, read from the same metadata that enforces it. */
export function describeErrors(document: OpenAPIObject, app: INestApplication): OpenAPIObject {
  const policies = policiesByOperation(app);
  document.components = {
    ...document.components,
    schemas: { ...document.components?.schemas, Problem: PROBLEM_SCHEMA as never },
  };
  for (const path of Object.values(document.paths)) {
    for (const operation of Object.values(path) as Operation[]) {
      if (operation.operationId) describeOperation(operation, policies.get(operation.operationId));
    }
  }
  return document;
}

function describeOperation(operation: Operation, policy: RoutePolicy | undefined): void {
  const open = !policy || policy.access.kind === 'public';
  operation.security = open ? [] : [{ bearer: [] }, { apiKey: [] }];
  if (policy?.access.kind === 'role') {
    const who = policy.access.orAnyKey
      ? `role ${policy.access.role}, or any API key`
      : `role ${policy.access.role}`;
    operation.description = [operation.description, `Needs ${who}.`].filter(Boolean).join('\n\n');
  }
  for (const status of failuresOf(operation, open, policy)) {
    operation.responses[status] ??= {
      description: DESCRIPTIONS[status] ?? '',
      content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
    };
  }
}

function failuresOf(operation: Operation, open: boolean, policy: RoutePolicy | undefined): string[] {
  const named = operation.parameters?.some((parameter) => 'in' in parameter && parameter.in === 'path');
  return [
    '400',
    ...(open ? [] : ['401', '403']),
    ...(named ? ['404'] : []),
    ...(policy?.declares.body ? ['413', '415'] : []),
    '429',
    '500',
    '503',
  ];
}

/** Operation ids are `<Controller>_<method>`, Swagger's own default. */
function policiesByOperation(app: INestApplication): Map<string, RoutePolicy> {
  const scanner = app.get(MetadataScanner, { strict: false });
  const policies = new Map<string, RoutePolicy>();
  for (const { metatype } of app.get(DiscoveryService, { strict: false }).getControllers()) {
    if (!metatype) continue;
    const controller = metatype as new (...args: never[]) => object;
    for (const name of scanner.getAllMethodNames(controller.prototype as object)) {
      const handler = (controller.prototype as Record<string, unknown>)[name] as (
        ...args: unknown[]
      ) => unknown;
      const policy = routePolicyOf(controller, handler, name);
      if (policy) policies.set(`${controller.name}_${name}`, policy);
    }
  }
  return policies;
}
