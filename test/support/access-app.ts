import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { Test } from '@nestjs/testing';
import { CoreModule } from '../../src/core/core.module.js';
import { AccessModule, type AccessOptions } from '../../src/modules/access/index.js';
import { createDatabase } from './test-database.js';

export const SECRET = Buffer.from('a secret of more than thirty-two bytes');
export const ADMIN = { email: 'root@example.com', password: 'correct horse battery' } as const;

export interface Call {
  /** Access token. */
  readonly as?: string | undefined;
  /** API key. */
  readonly key?: string;
  readonly body?: unknown;
  readonly headers?: Record<string, string>;
  /** The client's address. */
  readonly from?: string;
}

export interface Reply {
  readonly status: number;
  readonly headers: Record<string, string | string[] | number | undefined>;
  readonly body: ReturnType<typeof JSON.parse>;
  readonly text: string;
}

export interface AccessApp {
  readonly app: NestFastifyApplication;
  readonly databaseUrl: string;
  /** Every answer's text, to be searched for what must never be in one. */
  readonly answers: string[];
  call(method: string, path: string, call?: Call): Promise<Reply>;
  login(email: string, password: string, from?: string): Promise<Reply>;
  adminToken(): Promise<string>;
  /** Makes a user of this role and signs in. */
  signIn(
    role: string,
  ): Promise<{ id: string; email: string; password: string; token: string; refreshToken: string }>;
  close(): Promise<void>;
}

let users = 0;

/** Access alone on core, as a foreign application would mount it, on a database of its own or a given one. */
export async function accessApp(
  options: Partial<AccessOptions> = {},
  databaseUrl?: string,
): Promise<AccessApp> {
  const target = databaseUrl ? { url: databaseUrl, drop: async () => {} } : await createDatabase();
  const testing = await Test.createTestingModule({
    imports: [
      CoreModule.forRoot({
        database: { url: target.url, poolMax: 2, poolOverflow: 8, connectTimeoutMs: 2_000 },
      }),
      AccessModule.forRoot({ jwtSecret: SECRET, admin: ADMIN, http: true, ...options }),
    ],
  }).compile();
  const app = testing.createNestApplication<NestFastifyApplication>(new FastifyAdapter());
  app.useLogger(false);
  app.setGlobalPrefix('api/v1');
  await app.init();
  const answers: string[] = [];

  async function call(
    method: string,
    path: string,
    { as, key, body, headers, from }: Call = {},
  ): Promise<Reply> {
    const response = await app.inject({
      method: method as 'GET',
      url: `/api/v1${path}`,
      remoteAddress: from ?? '198.51.100.1',
      headers: { ...(as && { authorization: `Bearer ${as}` }), ...(key && { 'x-api-key': key }), ...headers },
      ...(body !== undefined && { payload: body as object }),
    });
    answers.push(response.body);
    const isJson = /json/.test(String(response.headers['content-type'] ?? ''));
    return {
      status: response.statusCode,
      headers: response.headers,
      body: isJson && response.body ? JSON.parse(response.body) : undefined,
      text: response.body,
    };
  }
  const login = (email: string, password: string, from?: string) =>
    call('POST', '/auth/login', { body: { email, password }, ...(from && { from }) });
  let known: string | undefined;
  const adminToken = async () =>
    (known ??= (await login(ADMIN.email, ADMIN.password)).body.accessToken as string);

  return {
    app,
    databaseUrl: target.url,
    answers,
    call,
    login,
    adminToken,
    signIn: async (role) => {
      const email = `${role}-${(users += 1)}@example.com`;
      const password = `password of ${email}`;
      const made = await call('POST', '/users', {
        as: await adminToken(),
        body: { email, name: role, role, password },
      });
      if (made.status !== 201) throw new Error(`making ${email} answered ${made.status}: ${made.text}`);
      const { body } = await login(email, password);
      return { id: made.body.id, email, password, token: body.accessToken, refreshToken: body.refreshToken };
    },
    close: async () => {
      await app.close();
      await target.drop();
    },
  };
}
