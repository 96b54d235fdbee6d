import { spawn, type ChildProcess } from 'node:child_process';
import { chmod, mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export const PROCESS_ADMIN = { email: 'admin@example.com', password: 'correct horse battery' } as const;

const READY_WITHIN_MS = 30_000;

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** The built service in a process of its own, as `npm start` runs it. */
export class VigiaProcess {
  output = '';
  url = '';
  readonly exited: Promise<Exit>;

  private constructor(readonly child: ChildProcess) {
    for (const stream of [child.stdout, child.stderr])
      stream?.on('data', (bytes: Buffer) => (this.output += bytes.toString()));
    this.exited = new Promise((resolve) => child.once('exit', (code, signal) => resolve({ code, signal })));
  }

  /** Starts without waiting for it to be ready: for starts that should fail. */
  static spawn(env: Record<string, string>): VigiaProcess {
    const inherited = { PATH: process.env.PATH ?? '', HOME: process.env.HOME ?? '' };
    const child = spawn(process.execPath, ['dist/src/main.js'], {
      env: {
        ...inherited,
        PORT: '0',
        HOST: '127.0.0.1',
        LOG_LEVEL: 'info',
        ADMIN_EMAIL: PROCESS_ADMIN.email,
        ADMIN_PASSWORD: PROCESS_ADMIN.password,
        ...env,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    return new VigiaProcess(child);
  }

  static async start(env: Record<string, string>): Promise<VigiaProcess> {
    const vigia = VigiaProcess.spawn(env);
    await vigia.ready();
    return vigia;
  }

  get pid(): number {
    return this.child.pid ?? -1;
  }

  async ready(): Promise<void> {
    const deadline = performance.now() + READY_WITHIN_MS;
    while (!this.url) {
      this.url = /ready at (\S+)/.exec(this.output)?.[1] ?? '';
      const ended = await Promise.race([
        this.exited,
        new Promise<null>((resolve) => setTimeout(() => resolve(null), 25)),
      ]);
      if (ended && !this.url) throw new Error(`ended with ${JSON.stringify(ended)}:\n${this.output}`);
      if (performance.now() > deadline)
        throw new Error(`not ready within ${READY_WITHIN_MS} ms:\n${this.output}`);
    }
  }

  async kill(signal: NodeJS.Signals): Promise<Exit> {
    this.child.kill(signal);
    return this.exited;
  }

  async call(
    method: string,
    path: string,
    options: { as?: string; body?: unknown; timeoutMs?: number } = {},
  ): Promise<{ status: number; body: ReturnType<typeof JSON.parse> }> {
    const response = await fetch(this.url + path, {
      method,
      headers: {
        ...(options.as && { authorization: `Bearer ${options.as}` }),
        ...(options.body !== undefined && { 'content-type': 'application/json' }),
      },
      ...(options.body !== undefined && { body: JSON.stringify(options.body) }),
      signal: AbortSignal.timeout(options.timeoutMs ?? 10_000),
    });
    const text = await response.text();
    return { status: response.status, body: text ? JSON.parse(text) : undefined };
  }

  async signIn(): Promise<string> {
    const { status, body } = await this.call('POST', '/api/v1/auth/login', { body: PROCESS_ADMIN });
    if (status !== 200) throw new Error(`login answered ${status}: ${JSON.stringify(body)}`);
    return body.accessToken as string;
  }
}

/** A data folder that a server running as another user can reach. */
export async function dataFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'vigia-chaos-'));
  await chmod(folder, 0o755); // mkdtemp makes 0700, which only the owner can enter
  return folder;
}
