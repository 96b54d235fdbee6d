import { RequestMethod } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { SwaggerModule } from '@nestjs/swagger';
import type { Env } from '../config/env.js';
import { Shutdown } from '../core/index.js';
import { AppLogger } from './app-logger.js';
import { AppModule, type AppConfig } from './app.module.js';
import { ApiDocuments } from './docs.controller.js';
import { createHttpAdapter } from './http-server.js';
import { openApiDocument } from './open-api.js';
import { VERSION } from './version.js';

/** Paths with their own place outside `/api/v1`. */
const OUTSIDE_PREFIX = ['metrics', 'api/health', 'api/docs-json', 'status'];

/** The whole application, initialised but not listening: for main and for every end-to-end test. */
export async function createApp(config: AppConfig): Promise<NestFastifyApplication> {
  const { env } = config;
  const app = await NestFactory.create<NestFastifyApplication>(
    AppModule.forRoot(config),
    createHttpAdapter(env),
    {
      bodyParser: false,
      logger: false, // what fails before the logger is there, main says in one line
      abortOnError: false,
    },
  );
  app.useLogger(app.get(AppLogger));
  app.setGlobalPrefix('api/v1', {
    exclude: OUTSIDE_PREFIX.map((path) => ({ path, method: RequestMethod.ALL })),
  });
  closeConnectionsWhileDraining(app);
  allowOrigins(app, env);
  publishDocuments(app, env);
  await app.init();
  return app;
}

/**
 * A client that keeps its connection would send the next request just as we close it. Told with each
 * answer of the drain, it opens a new one, which the balancer leads elsewhere.
 */
function closeConnectionsWhileDraining(app: NestFastifyApplication): void {
  const shutdown = app.get(Shutdown);
  const fastify = app.getHttpAdapter().getInstance();
  fastify.addHook('onRequest', async (_request, reply) => {
    if (shutdown.isDraining) void reply.header('Connection', 'close');
  });
}

function allowOrigins(app: NestFastifyApplication, { CORS_ORIGINS }: Env): void {
  if (CORS_ORIGINS.length === 0) return;
  app.enableCors({
    origin: CORS_ORIGINS,
    credentials: true,
    exposedHeaders: ['X-Request-Id', 'Retry-After'],
    maxAge: 600,
  });
}

function publishDocuments(app: NestFastifyApplication, { NODE_ENV }: Env): void {
  const document = openApiDocument(app, VERSION);
  app.get(ApiDocuments).openApi = document;
  if (NODE_ENV !== 'production') SwaggerModule.setup('api/docs', app, document, { raw: false });
}
