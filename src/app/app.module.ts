import { Module, type DynamicModule } from '@nestjs/common';
import { APP_FILTER } from '@nestjs/core';
import type { Env } from '../config/env.js';
import { CoreModule, ProblemFilter } from '../core/index.js';
import { AccessModule } from '../modules/access/index.js';
import { MonitoringModule } from '../modules/monitoring/index.js';
import { AppLogger } from './app-logger.js';
import { ApiDocuments, docsController } from './docs.controller.js';
import { loggingModule } from './logging.js';
import type { Resources } from './resources.js';
import { VERSION } from './version.js';
import { WorkersWiring } from './wiring/workers.wiring.js';

export interface AppConfig {
  readonly env: Env;
  readonly resources: Resources;
  /** Hears the first administrator's generated password, once. */
  readonly onAdminCreated?: (email: string, password: string) => void;
}

/** The list of what runs: every module once, with its options from the environment. */
@Module({})
export class AppModule {
  static forRoot({ env, resources, onAdminCreated }: AppConfig): DynamicModule {
    return {
      module: AppModule,
      imports: [
        loggingModule(env.LOG_LEVEL),
        CoreModule.forRoot({
          instanceId: env.INSTANCE_ID,
          database: {
            url: resources.databaseUrl,
            poolMax: env.DATABASE_POOL_MAX,
            poolOverflow: env.DATABASE_POOL_OVERFLOW,
            connectionMaxAgeMs: env.DATABASE_CONNECTION_MAX_AGE_MS,
            connectTimeoutMs: env.DATABASE_CONNECT_TIMEOUT_MS,
            slowQueryMs: env.SLOW_QUERY_MS,
          },
          ...(env.REDIS_URL && { redis: { url: env.REDIS_URL } }),
        }),
        AccessModule.forRoot({
          http: true,
          jwtSecret: Buffer.from(resources.jwtSecret),
          ...externalIssuer(env),
          admin: {
            ...(env.ADMIN_EMAIL && { email: env.ADMIN_EMAIL }),
            ...(env.ADMIN_PASSWORD && { password: env.ADMIN_PASSWORD }),
          },
          allowedOrigins: env.CORS_ORIGINS,
          ...(onAdminCreated && { onAdminCreated }),
        }),
        MonitoringModule.forRoot({
          http: true,
          version: VERSION,
          collectIntervalMs: env.COLLECT_INTERVAL_MS,
          healthIntervalMs: env.HEALTH_INTERVAL_MS,
          checkAllowedCidrs: env.CHECK_ALLOWED_CIDRS,
          metricsAllowedCidrs: env.METRICS_ALLOWED_CIDRS,
          ...objectStore(env),
        }),
        WorkersWiring,
      ],
      controllers: [docsController(env.NODE_ENV === 'production')],
      providers: [ApiDocuments, AppLogger, { provide: APP_FILTER, useClass: ProblemFilter }],
    };
  }
}

function externalIssuer({ JWT_JWKS_URL: jwksUrl, JWT_ISSUER: issuer, JWT_AUDIENCE: audience }: Env) {
  return jwksUrl && issuer && audience ? { external: { jwksUrl, issuer, audience } } : {};
}

function objectStore({ S3_BUCKET: bucket, S3_ENDPOINT: endpoint, S3_REGION: region }: Env) {
  return bucket ? { s3: { bucket, ...(endpoint && { endpoint }), ...(region && { region }) } } : {};
}
