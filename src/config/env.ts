import ipaddr from 'ipaddr.js';
import { hostname } from 'node:os';
import { z } from 'zod';

/**
 * Every variable that Vigia reads, and the only place that reads them. `.env.example` lists the same
 * with units and defaults; a test compares the two.
 */

const text = z.string().min(1, 'must not be empty');

const integer = (least: number, most: number) =>
  z
    .string()
    .regex(/^\d{1,15}$/, `must be a whole number from ${least} to ${most}`)
    .transform(Number)
    .pipe(z.number().min(least, `must be at least ${least}`).max(most, `must be at most ${most}`));

const onOff = z.enum(['on', 'off'], 'must be on or off').transform((value) => value === 'on');
const trueFalse = z.enum(['true', 'false'], 'must be true or false').transform((value) => value === 'true');

const list = (separator: string | RegExp) => (value: string) =>
  value
    .split(separator)
    .map((part) => part.trim())
    .filter(Boolean);

const commaList = z.string().transform(list(','));
const cidrList = commaList.refine(
  (cidrs) => cidrs.every(isCidr),
  'must be a comma list of CIDR blocks such as 10.0.0.0/8',
);
const originList = commaList.refine(
  (origins) => origins.every(isOrigin),
  'must be a comma list of origins such as https://ops.example.com',
);
const url = (...protocols: string[]) =>
  z
    .string()
    .refine(
      (value) => hasProtocol(value, protocols),
      `must be a URL starting with ${protocols.join(' or ')}`,
    );

/** 32 bytes in base64. */
const base64Key = z
  .string()
  .refine(
    (value) => Buffer.from(value, 'base64').length === 32,
    'must be 32 bytes in base64: openssl rand -base64 32',
  );

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;

export const envSchema = z.object({
  NODE_ENV: z
    .enum(['development', 'test', 'production'], 'must be development, test or production')
    .default('development'),
  INSTANCE_ID: text.max(128).optional(),
  HOST: text.optional(),
  PORT: integer(0, 65_535).default(3000),
  DATABASE_URL: url('postgres:', 'postgresql:').optional(),
  DATABASE_POOL_MAX: integer(1, 1000).default(20),
  DATABASE_POOL_OVERFLOW: integer(0, 1000).default(30),
  DATABASE_CONNECTION_MAX_AGE_MS: integer(1_000, DAY_MS).default(3_600_000),
  DATABASE_CONNECT_TIMEOUT_MS: integer(100, 10 * MINUTE_MS).default(30_000),
  SLOW_QUERY_MS: integer(1, 10 * MINUTE_MS).default(1_000),
  REDIS_URL: z.string().refine(isRedis, 'must be redis:// or rediss://, or a comma list of them').optional(),
  DATA_DIR: text.default('./data'),
  JWT_SECRET: z
    .string()
    .refine((value) => Buffer.byteLength(value) >= 32, 'must be at least 32 bytes: openssl rand -base64 32')
    .optional(),
  SECRETS_KEY: base64Key.optional(),
  JWT_JWKS_URL: url('https:', 'http:').optional(),
  JWT_ISSUER: text.optional(),
  JWT_AUDIENCE: text.optional(),
  ADMIN_EMAIL: z
    .string()
    .regex(/^[^\s@]{1,64}@[^\s@]{1,189}$/, 'must be an e-mail address')
    .optional(),
  ADMIN_PASSWORD: z.string().min(12, 'must have at least 12 characters').max(1024).optional(),
  TRUSTED_PROXY_CIDRS: cidrList.default([]),
  CORS_ORIGINS: originList.default([]),
  COLLECT_INTERVAL_MS: integer(1_000, 10 * MINUTE_MS).default(15_000),
  HEALTH_INTERVAL_MS: integer(1_000, 10 * MINUTE_MS).default(30_000),
  RATE_LIMIT_WHITELIST: commaList.default([]),
  BACKUP_REPOSITORY: text.optional(),
  BACKUP_ROOTS: z.string().transform(list(/[:;]/)).default([]),
  BACKUP_KEYS: text.optional(),
  BACKUP_KEY_FILE: text.optional(),
  S3_ENDPOINT: url('https:', 'http:').optional(),
  S3_BUCKET: text.optional(),
  S3_REGION: text.optional(),
  CHECK_ALLOWED_CIDRS: cidrList.default([]),
  METRICS_ALLOWED_CIDRS: cidrList.default([]),
  SMTP_URL: url('smtp:', 'smtps:').optional(),
  LOG_LEVEL: z
    .enum(
      ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'],
      'must be trace, debug, info, warn, error, fatal or silent',
    )
    .default('info'),
  HTTP_CACHE: onOff.default(true),
  REQUEST_ANALYTICS: onOff.default(true),
  SHUTDOWN_DELAY_MS: integer(0, 8_000).optional(),
  HEARTBEAT_URL: url('https:', 'http:').optional(),
  PROMETHEUS_URL: url('https:', 'http:').optional(),
  GRAFANA_URL: url('https:', 'http:').optional(),
  OPTIMIZER_MODE: z.enum(['off', 'suggest', 'auto'], 'must be off, suggest or auto').default('suggest'),
  OPTIMIZER_TEMP_ROOTS: z.string().transform(list(/[:;]/)).default([]),
  STATUS_PAGE_PUBLIC: trueFalse.default(false),
  SOCKET_MAX_PER_USER: integer(1, 100_000).default(50),
  SOCKET_CONNECTS_PER_MINUTE_PER_IP: integer(1, 1_000_000).default(600),
});

/** What one variable demands of another; asked of the raw values, so that it is said beside all other faults. */
const TOGETHER: readonly (readonly [
  name: string,
  broken: (env: NodeJS.ProcessEnv) => boolean,
  message: string,
])[] = [
  [
    'JWT_SECRET',
    (env) => !!env.DATABASE_URL && !env.JWT_SECRET,
    'is required together with DATABASE_URL, so that all instances share it',
  ],
  [
    'SECRETS_KEY',
    (env) => !!env.DATABASE_URL && !env.SECRETS_KEY,
    'is required together with DATABASE_URL, so that all instances share it',
  ],
  [
    'JWT_JWKS_URL',
    (env) => partly(env.JWT_JWKS_URL, env.JWT_ISSUER, env.JWT_AUDIENCE),
    'goes together with JWT_ISSUER and JWT_AUDIENCE',
  ],
  ['S3_BUCKET', (env) => !!env.S3_ENDPOINT && !env.S3_BUCKET, 'is required together with S3_ENDPOINT'],
  [
    'BACKUP_KEYS',
    (env) => !!env.BACKUP_KEYS && !!env.BACKUP_KEY_FILE,
    'give it or BACKUP_KEY_FILE, not both',
  ],
];

function partly(...values: (string | undefined)[]): boolean {
  return values.some(Boolean) && !values.every(Boolean);
}

type Parsed = z.output<typeof envSchema>;

/** The configuration of this process, checked and complete. */
export type Env = Parsed & {
  /** True when no DATABASE_URL is given and Vigia runs its own PostgreSQL under DATA_DIR. */
  readonly embedded: boolean;
  readonly INSTANCE_ID: string;
  readonly HOST: string;
  readonly SHUTDOWN_DELAY_MS: number;
};

/** Names every fault at once, and never a value: one of them may be a secret. */
export class EnvError extends Error {
  constructor(faults: readonly string[]) {
    super(`the environment is not usable:\n${faults.map((fault) => `  ${fault}`).join('\n')}`);
    this.name = 'EnvError';
  }
}

/** @throws EnvError listing every wrong or missing variable */
export function loadEnv(source: NodeJS.ProcessEnv = process.env): Env {
  const given = withoutEmpty(source);
  const result = envSchema.safeParse(given);
  const faults = TOGETHER.filter(([, broken]) => broken(given)).map(
    ([name, , message]) => `${name}: ${message}`,
  );
  if (!result.success)
    faults.unshift(...result.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`));
  if (!result.success || faults.length > 0) throw new EnvError(faults);
  const env = result.data;
  const embedded = env.DATABASE_URL === undefined;
  return {
    ...env,
    embedded,
    INSTANCE_ID: env.INSTANCE_ID ?? `${hostname()}:${env.PORT}`,
    HOST: env.HOST ?? (embedded ? '127.0.0.1' : '0.0.0.0'),
    SHUTDOWN_DELAY_MS: env.SHUTDOWN_DELAY_MS ?? (embedded ? 0 : 5_000),
  };
}

/** A variable set to nothing, as compose files do, counts as not set. */
function withoutEmpty(source: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(source).filter(([, value]) => value !== ''));
}

function isCidr(value: string): boolean {
  return ipaddr.isValidCIDR(value) || ipaddr.isValid(value);
}

function isOrigin(value: string): boolean {
  return URL.canParse(value) && new URL(value).origin === value;
}

function hasProtocol(value: string, protocols: readonly string[]): boolean {
  return URL.canParse(value) && protocols.includes(new URL(value).protocol);
}

function isRedis(value: string): boolean {
  const nodes = list(',')(value);
  return nodes.length > 0 && nodes.every((node) => hasProtocol(node, ['redis:', 'rediss:']));
}
