import { execFileSync, spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';

/** A private Redis on loopback that keeps nothing. */
export class RedisServer {
  private child: ChildProcess | undefined;

  private constructor(
    private readonly binary: Binary,
    readonly port: number,
  ) {}

  get url(): string {
    return `redis://127.0.0.1:${this.port}`;
  }

  static async start(): Promise<RedisServer> {
    const server = new RedisServer(obtainBinary(), await freePort());
    await server.start();
    return server;
  }

  async start(): Promise<void> {
    const { path, libraries } = this.binary;
    const settings = ['--port', String(this.port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no'];
    this.child = spawn(path, settings, {
      stdio: 'ignore',
      env: { ...process.env, ...(libraries && { LD_LIBRARY_PATH: libraries }) },
    });
    await answers(this.url);
  }

  async stop(): Promise<void> {
    const { child } = this;
    this.child = undefined;
    if (!child || child.exitCode !== null) return;
    const exited = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await exited;
  }
}

interface Binary {
  readonly path: string;
  /** Where its shared libraries lie, when it was unpacked without being installed. */
  readonly libraries?: string;
}

const HOW_TO = 'tests need a real Redis: install redis-server, e.g. `apt-get install -y redis-server`';

/** In this order: on PATH, installed now (as root on Debian), unpacked without root. Never skipped. */
export function obtainBinary(): Binary {
  if (runs('redis-server')) return { path: 'redis-server' };
  if (process.getuid?.() === 0 && runs('apt-get')) {
    spawnSync('apt-get', ['update'], { stdio: 'ignore' });
    // The package starts a server of its own where an init system runs; a policy file would be needed to hold it back.
    spawnSync('apt-get', ['install', '-y', '--no-install-recommends', 'redis-server'], {
      stdio: 'ignore',
      env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
    });
    if (runs('redis-server')) return { path: 'redis-server' };
  }
  return unpacked() ?? fail();
}

const PACKAGES = [
  'redis-server',
  'redis-tools',
  'libjemalloc2',
  'liblzf1',
  'liblua5.1-0',
  'lua-bitop',
  'lua-cjson',
  'libatomic1',
];

function unpacked(): Binary | undefined {
  const folder = join(tmpdir(), `vigia-redis-${process.getuid?.() ?? 0}`);
  const path = join(folder, 'usr', 'bin', 'redis-check-rdb');
  if (!existsSync(path)) download(folder);
  if (!existsSync(path)) return undefined;
  const libraries = readdirSync(join(folder, 'usr', 'lib'), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.includes('.so'))
    .map((entry) => entry.parentPath);
  return { path: join(folder, 'usr', 'bin', 'redis-server'), libraries: [...new Set(libraries)].join(':') };
}

function download(folder: string): void {
  const aside = mkdtempSync(join(tmpdir(), 'vigia-redis-debs-'));
  try {
    execFileSync('apt-get', ['download', ...PACKAGES], { cwd: aside, stdio: 'ignore' });
    for (const name of readdirSync(aside)) execFileSync('dpkg', ['-x', join(aside, name), folder]);
  } catch (error) {
    process.stderr.write(`unpacking Redis failed: ${(error as Error).message}\n`);
  } finally {
    rmSync(aside, { recursive: true, force: true });
  }
}

function fail(): never {
  throw new Error(HOW_TO);
}

function runs(command: string): boolean {
  return spawnSync(command, ['--version'], { stdio: 'ignore' }).status === 0;
}

async function answers(url: string): Promise<void> {
  const client = new Redis(url, { retryStrategy: () => 20, maxRetriesPerRequest: null });
  client.on('error', () => undefined); // refused until it listens
  try {
    await client.ping();
  } finally {
    client.disconnect();
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });
}
