import { DiscoveryService, MetadataScanner } from '@nestjs/core';
import { routePolicyOf } from '../../src/core/index.js';
import { buildApp, type TestApp } from '../support/build-app.js';

interface Operation {
  operationId: string;
  summary?: string;
  responses: Record<string, { content?: Record<string, unknown> }>;
  security?: unknown[];
}

describe('the OpenAPI document', () => {
  let vigia: TestApp;
  let operations: [string, Operation][];
  beforeAll(async () => {
    vigia = await buildApp();
    const { body } = await vigia.request('GET', '/api/docs-json');
    expect(body.openapi).toBe('3.1.0');
    operations = Object.entries(body.paths as Record<string, Record<string, Operation>>).flatMap(
      ([path, methods]) =>
        Object.entries(methods).map(([method, operation]): [string, Operation] => [
          `${method.toUpperCase()} ${path}`,
          operation,
        ]),
    );
  });
  afterAll(() => vigia.close());

  it('has every mounted handler, and every handler says who may call it', () => {
    const scanner = vigia.app.get(MetadataScanner, { strict: false });
    const described = new Set(operations.map(([, { operationId }]) => operationId));
    for (const { metatype } of vigia.app.get(DiscoveryService, { strict: false }).getControllers()) {
      const controller = metatype as new () => object;
      for (const name of scanner.getAllMethodNames(controller.prototype as object)) {
        const handler = (controller.prototype as Record<string, unknown>)[name] as () => unknown;
        if (Reflect.getMetadata('path', handler) === undefined) continue;
        expect([`${controller.name}.${name}`, routePolicyOf(controller, handler, name)]).toEqual([
          expect.any(String),
          expect.anything(),
        ]);
        if (controller.name !== 'DocsController') expect(described).toContain(`${controller.name}_${name}`);
      }
    }
  });

  it('says of each route what it is for, what it answers and how it fails', () => {
    for (const [route, { summary, responses }] of operations) {
      expect([route, summary]).toEqual([route, expect.stringMatching(/\S/)]);
      expect([route, Object.keys(responses).some((status) => status.startsWith('2'))]).toEqual([route, true]);
      expect([route, responses['400']?.content]).toEqual([
        route,
        { 'application/problem+json': expect.anything() },
      ]);
    }
  });

  it('marks exactly the open routes as open', () => {
    const open = operations.filter(([, { security }]) => security?.length === 0).map(([route]) => route);
    expect(open.sort()).toEqual([
      'GET /api/health',
      'GET /api/v1/monitoring/health',
      'GET /api/v1/monitoring/health/live',
      'GET /api/v1/monitoring/health/ready',
      'GET /api/v1/monitoring/health/startup',
      'GET /metrics',
      'POST /api/v1/auth/login',
      'POST /api/v1/auth/refresh',
    ]);
  });

  it('lists the query parameters of a list with their bounds', async () => {
    const { body } = await vigia.request('GET', '/api/docs-json');
    const limit = body.paths['/api/v1/users'].get.parameters.find(
      (parameter: { name: string }) => parameter.name === 'limit',
    );
    expect(limit).toMatchObject({
      in: 'query',
      required: false,
      schema: { type: 'integer', minimum: 1, maximum: 1000, default: 100 },
    });
  });

  it('needs a viewer in production, where the page is off', async () => {
    const production = await buildApp({ NODE_ENV: 'production' });
    expect((await production.request('GET', '/api/docs-json')).status).toBe(401);
    expect((await production.request('GET', '/api/docs-json', { as: production.adminToken })).status).toBe(
      200,
    );
    expect((await production.request('GET', '/api/docs')).status).toBe(404);
    expect((await vigia.request('GET', '/api/docs')).status).toBe(200);
    await production.close();
  });

  it('lets nobody without a credential through outside the open routes', async () => {
    for (const [route, { security }] of operations) {
      if (security?.length === 0) continue;
      const [method, path] = route.split(' ') as [string, string];
      const answer = await vigia.request(
        method,
        path.replace(/\{[^}]+\}/g, '0198c0de-0000-7000-8000-000000000000'),
      );
      expect([route, answer.status]).toEqual([route, 401]);
    }
  });
});
