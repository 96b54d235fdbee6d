import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createApp } from '../../src/app/create-app.js';
import { loadEnv } from '../../src/config/env.js';
import { createDatabase } from './test-database.js';

export const ADMIN = { email: 'admin@example.com', password: 'correct horse battery' } as const;

export interface TestApp {
  readonly app: NestFastifyApplication;
  /** `http://127.0.0.1:<port>`; the app listens. */
  readonly url: string;
  readonly databaseUrl: string;
  /** Access token of the administrator. */
  readonly adminToken: string;
  /** Calls a route with JSON; `as` is a bearer token. */
  request(method: string, path: string, options?: CallOptions): Promise<Answer>;
  /** Makes a user with this role and signs in. */
  signIn(role: string): Promise<{ id: string; email: string; token: string; refreshToken: string }>;
  close(): Promise<void>;
}

export interface CallOptions {
  readonly as?: string | undefined;
  readonly key?: string;
  readonly body?: unknown;
  readonly headers?: Record<string, string>;
}

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: ReturnType<typeof JSON.parse>;
  readonly text: string;
}

const SECRET = 'test-secret-test-secret-test-secret-test';

/** The whole application on an empty database of its own, listening on a free port. */
export async function buildApp(
  env: Record<string, string> = {},
  database?: { url: string },
): Promise<TestApp> {
  const target = database ? { url: database.url, drop: async () => {} } : await createDatabase();
  const dataDirectory = await mkdtemp(join(tmpdir(), 'vigia-test-'));
  const config = loadEnv({
    NODE_ENV: 'test',
    LOG_LEVEL: 'silent',
    PORT: '0',
    HOST: '127.0.0.1',
    DATABASE_URL: target.url,
    DATABASE_POOL_MAX: '2',
    JWT_SECRET: SECRET,
    SECRETS_KEY: Buffer.alloc(32, 7).toString('base64'),
    ADMIN_EMAIL: ADMIN.email,
    ADMIN_PASSWORD: ADMIN.password,
    DATA_DIR: dataDirectory,
    SHUTDOWN_DELAY_MS: '0',
    INSTANCE_ID: `test-${process.pid}-${Math.random().toString(36).slice(2)}`,
    ...env,
  });
  const app = await createApp({
    env: config,
    resources: {
      databaseUrl: config.DATABASE_URL ?? target.url,
      jwtSecret: SECRET,
      secretsKey: config.SECRETS_KEY ?? '',
      dataDirectory,
      release: async () => {},
    },
  });
  await app.listen(0, '127.0.0.1');
  const url = await app.getUrl();
  const request = (method: string, path: string, options: CallOptions = {}) =>
    call(url, method, path, options);
  const adminToken = await tokenOf(request, ADMIN.email, ADMIN.password);
  return {
    app,
    url,
    databaseUrl: target.url,
    adminToken,
    request,
    signIn: (role) => signIn(request, adminToken, role),
    close: async () => {
      await app.close();
      await rm(dataDirectory, { recursive: true, force: true });
      await target.drop();
    },
  };
}

async function call(url: string, method: string, path: string, options: CallOptions): Promise<Answer> {
  const response = await fetch(url + path, {
    method,
    redirect: 'manual',
    headers: {
      ...(options.as && { authorization: `Bearer ${options.as}` }),
      ...(options.key && { 'x-api-key': options.key }),
      ...(options.body !== undefined && { 'content-type': 'application/json' }),
      ...options.headers,
    },
    ...(options.body !== undefined && {
      body: typeof options.body === 'string' ? options.body : JSON.stringify(options.body),
    }),
  });
  const text = await response.text();
  const json = /json/.test(response.headers.get('content-type') ?? '');
  return {
    status: response.status,
    headers: response.headers,
    text,
    body: json && text ? JSON.parse(text) : undefined,
  };
}

type Request = TestApp['request'];

async function tokenOf(request: Request, email: string, password: string): Promise<string> {
  return (await login(request, email, password)).accessToken;
}

async function login(
  request: Request,
  email: string,
  password: string,
): Promise<{ accessToken: string; refreshToken: string }> {
  const answer = await request('POST', '/api/v1/auth/login', { body: { email, password } });
  if (answer.status !== 200) throw new Error(`login of ${email} answered ${answer.status}: ${answer.text}`);
  return answer.body;
}

let users = 0;

async function signIn(request: Request, adminToken: string, role: string) {
  const email = `${role}-${(users += 1)}@example.com`;
  const password = `password of ${email}`;
  const made = await request('POST', '/api/v1/users', {
    as: adminToken,
    body: { email, name: role, role, password },
  });
  if (made.status !== 201) throw new Error(`making ${email} answered ${made.status}: ${made.text}`);
  const { accessToken, refreshToken } = await login(request, email, password);
  return { id: made.body.id as string, email, token: accessToken, refreshToken };
}
