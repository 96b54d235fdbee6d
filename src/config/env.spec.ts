import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { EnvError, envSchema, loadEnv } from './env.js';

const example = readFileSync(join(process.cwd(), '.env.example'), 'utf8');
const assignments = example
  .split('\n')
  .filter((line) => line && !line.startsWith('#'))
  .map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)] as const);

function faultsOf(source: NodeJS.ProcessEnv): string {
  try {
    loadEnv(source);
  } catch (error) {
    expect(error).toBeInstanceOf(EnvError);
    return (error as EnvError).message;
  }
  throw new Error('expected the environment to be refused');
}

describe('loadEnv', () => {
  it('runs on an empty environment, embedded and on loopback only', () => {
    expect(loadEnv({})).toMatchObject({
      embedded: true,
      HOST: '127.0.0.1',
      PORT: 3000,
      SHUTDOWN_DELAY_MS: 0,
      COLLECT_INTERVAL_MS: 15_000,
    });
  });

  it('names every fault at once and no value', () => {
    const message = faultsOf({
      PORT: 'eighty',
      COLLECT_INTERVAL_MS: '10',
      ADMIN_PASSWORD: 'short-s3c',
      LOG_LEVEL: 'loud',
      TRUSTED_PROXY_CIDRS: 'all',
    });
    for (const name of ['PORT', 'COLLECT_INTERVAL_MS', 'ADMIN_PASSWORD', 'LOG_LEVEL', 'TRUSTED_PROXY_CIDRS'])
      expect(message).toContain(name);
    for (const value of ['eighty', 'short-s3c', 'loud']) expect(message).not.toContain(value);
  });

  it('refuses a database of its own without the secrets that instances share', () => {
    const message = faultsOf({ DATABASE_URL: 'postgres://u:hunter2@db/vigia' });
    expect(message).toMatch(/JWT_SECRET.*\n.*SECRETS_KEY/);
    expect(message).not.toContain('hunter2');
  });

  it('refuses a JWT secret shorter than 32 bytes', () => {
    expect(faultsOf({ JWT_SECRET: 'x'.repeat(31) })).toContain('JWT_SECRET');
    expect(loadEnv({ JWT_SECRET: 'x'.repeat(32) }).JWT_SECRET).toHaveLength(32);
  });

  it('treats a variable set to nothing as not set', () => {
    expect(loadEnv({ PORT: '', REDIS_URL: '' })).toMatchObject({ PORT: 3000 });
  });

  it('takes .env.example as it stands', () => {
    expect(() => loadEnv(Object.fromEntries(assignments))).not.toThrow();
  });
});

describe('.env.example', () => {
  it('lists exactly the variables that are read', () => {
    expect(assignments.map(([name]) => name).sort()).toEqual(Object.keys(envSchema.shape).sort());
  });

  it('shows the defaults that hold', () => {
    const defaults = loadEnv({});
    const shown = loadEnv(Object.fromEntries(assignments));
    expect(shown).toEqual(defaults);
  });
});
