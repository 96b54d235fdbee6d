import type { INestApplication } from '@nestjs/common';
import { DocumentBuilder, SwaggerModule, type OpenAPIObject } from '@nestjs/swagger';
import { z } from 'zod';
import { describeErrors } from './open-api-errors.js';

/** The OpenAPI 3.1 document of every mounted route. */
export function openApiDocument(app: INestApplication, version: string): OpenAPIObject {
  const config = new DocumentBuilder()
    .setOpenAPIVersion('3.1.0')
    .setTitle('Vigia')
    .setDescription(
      'Operations backend: health, metrics, alerts, cache, rate limits, realtime, backups, analytics, forecasts.',
    )
    .setVersion(version)
    .addBearerAuth({ type: 'http', scheme: 'bearer', bearerFormat: 'JWT' }, 'bearer')
    .addApiKey({ type: 'apiKey', in: 'header', name: 'X-API-Key' }, 'apiKey')
    .build();
  const document = SwaggerModule.createDocument(app, config, {
    standardSchemaConverter: (schema, { schemaType }) => ({
      schema: jsonSchemaOf(schema as z.ZodType, schemaType),
    }),
  });
  return describeErrors(document, app);
}

/** zod's own JSON Schema 2020-12, which is what OpenAPI 3.1 speaks; transforms are described by their input. */
function jsonSchemaOf(schema: z.ZodType, io: 'input' | 'output'): unknown {
  const { $schema: _dialect, ...rest } = z.toJSONSchema(schema, {
    io,
    unrepresentable: 'any',
    override: ({ zodSchema, jsonSchema }) => {
      const meta = z.globalRegistry.get(zodSchema);
      if (meta?.override) Object.assign(jsonSchema, meta.override);
      delete (jsonSchema as { override?: unknown }).override;
      // Answers may gain fields: a generated client must not refuse them.
      if (io === 'output') delete jsonSchema.additionalProperties;
    },
  });
  return rest;
}
