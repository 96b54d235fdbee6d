import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { chmod, mkdtemp, readFile, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { startEmbeddedPostgres } from '../../src/database/embedded-postgres/index.js';
import type {
  EmbeddedPostgres,
  EmbeddedPostgresError,
  EmbeddedPostgresOptions,
} from '../../src/database/embedded-postgres/index.js';

export const isRoot = process.getuid?.() === 0;
/** "daemon", an ordinary user that every Unix has. */
export const ORDINARY_UID = 1;

export interface ChildEvent {
  readonly event: 'started' | 'failed' | 'stopped' | 'log';
  readonly url: string;
  readonly adopted: boolean;
  readonly clusterDirectory: string;
  readonly elapsedMs: number;
  readonly code: string;
  readonly level: 'info' | 'warn' | 'error';
  readonly message: string;
}

type Options = Partial<Omit<EmbeddedPostgresOptions, 'log'>> & { dataDirectory: string };

/** Polls until `look` answers something, for 25 s at most. */
export async function eventually<T>(
  what: string,
  look: () => Promise<T | undefined | false> | T | undefined | false,
): Promise<T> {
  const deadline = performance.now() + 25_000;
  for (;;) {
    const seen = await look();
    if (seen) return seen;
    if (performance.now() > deadline) throw new Error(`waited in vain: ${what}`);
    await sleep(10);
  }
}

/** A process of its own that uses the embedded server. */
export class ServerProcess {
  readonly events: ChildEvent[] = [];
  private noise = '';

  private constructor(private readonly child: ChildProcess) {
    child.stderr?.on('data', (chunk: Buffer) => (this.noise += chunk.toString()));
    if (!child.stdout) throw new Error('its output is piped');
    createInterface({ input: child.stdout }).on('line', (line) =>
      this.events.push(JSON.parse(line) as ChildEvent),
    );
  }

  static spawn(options: Options, uid?: number): ServerProcess {
    const script = join(import.meta.dirname, 'embedded-postgres-child.mjs');
    const args = [script, JSON.stringify(options), JSON.stringify(uid ?? null)];
    return new ServerProcess(spawn(process.execPath, args, { stdio: 'pipe' }));
  }

  /** Waits for the first event of this kind, or for the nth. */
  async until(event: ChildEvent['event'], nth = 1): Promise<ChildEvent> {
    return eventually(`${event} of a child`, () => {
      const found = this.events.filter((each) => each.event === event)[nth - 1];
      if (found) return found;
      if (this.hasExited)
        throw new Error(`a child ended: ${JSON.stringify(this.events.at(-1))} ${this.noise}`);
      return undefined;
    });
  }

  logs(level: ChildEvent['level']): string[] {
    return this.events.filter((each) => each.level === level).map((each) => each.message);
  }

  /** Asks it to leave the server. */
  tellToStop(): void {
    this.child.stdin?.write('stop\n');
  }

  async stop(): Promise<void> {
    this.tellToStop();
    await this.until('stopped');
    await eventually('exit of a child', () => this.hasExited);
  }

  async kill(): Promise<void> {
    this.child.kill('SIGKILL');
    await eventually('end of a child', () => this.hasExited);
  }

  get hasExited(): boolean {
    return this.child.exitCode !== null || this.child.signalCode !== null;
  }
}

/** Folders, servers and processes of one test; `cleanUp` ends and removes all of them. */
export class Bench {
  private readonly folders: string[] = [];
  private readonly running: EmbeddedPostgres[] = [];
  private readonly processes: ServerProcess[] = [];
  readonly logged: { level: string; message: string }[] = [];

  /** An empty folder which the server's user can reach, unlike what mkdtemp makes. */
  async folder(mode = 0o755): Promise<string> {
    const folder = await mkdtemp(join(tmpdir(), 'vigia-postgres-'));
    this.folders.push(folder);
    await chmod(folder, mode);
    return folder;
  }

  async start(options: Options): Promise<EmbeddedPostgres> {
    const logAt = (level: string) => (message: string) => void this.logged.push({ level, message });
    const log = { info: logAt('info'), warn: logAt('warn'), error: logAt('error') };
    const postgres = await startEmbeddedPostgres({ ...options, log });
    this.running.push(postgres);
    return postgres;
  }

  /** The error with which a start fails. */
  async failure(options: Options): Promise<EmbeddedPostgresError> {
    return this.start(options).then(
      () => Promise.reject(new Error('the start should have failed')),
      (error: EmbeddedPostgresError) => error,
    );
  }

  spawn(options: Options, uid?: number): ServerProcess {
    const child = ServerProcess.spawn(options, uid);
    this.processes.push(child);
    return child;
  }

  async cleanUp(): Promise<void> {
    await Promise.all(this.processes.map((child) => child.kill()));
    await Promise.all(this.running.map((postgres) => postgres.stop()));
    for (const folder of this.folders) {
      for (const cluster of await clustersBelow(folder)) await endServer(cluster);
      await rm(folder, { recursive: true, force: true });
    }
  }
}

export async function postmasterPid(clusterDirectory: string): Promise<number | undefined> {
  const text = await readFile(join(clusterDirectory, 'postmaster.pid'), 'utf8').catch(() => '');
  return Number(text.split('\n')[0]) || undefined;
}

/** The server's process, if it lives: a killed one leaves its file behind. */
export async function livePostmaster(clusterDirectory: string): Promise<number | undefined> {
  const pid = await postmasterPid(clusterDirectory);
  const commandLine = pid && (await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => ''));
  return commandLine && commandLine.includes(clusterDirectory) ? pid : undefined;
}

/** As the kernel does it when memory is short. */
export async function killServer(clusterDirectory: string): Promise<number> {
  const pid = await livePostmaster(clusterDirectory);
  if (!pid) throw new Error('no server to kill');
  process.kill(pid, 'SIGKILL');
  await eventually('death of the server', async () => (await livePostmaster(clusterDirectory)) !== pid);
  return pid;
}

/** The only row of a query on a connection of its own. */
export async function ask(
  url: string,
  sql: string,
  values: unknown[] = [],
): Promise<Record<string, unknown>> {
  const client = new Client({ connectionString: url, connectionTimeoutMillis: 5_000 });
  client.on('error', () => undefined); // The query rejects as well.
  await client.connect();
  try {
    const { rows } = await client.query<Record<string, unknown>>(sql, values);
    return rows[0] ?? {};
  } finally {
    await client.end();
  }
}

export function portOf(url: string): number {
  return Number(new URL(url).port);
}

async function clustersBelow(folder: string): Promise<string[]> {
  const found = await readdir(folder, { recursive: true });
  return found.filter((path) => path.endsWith('postmaster.pid')).map((path) => join(folder, path, '..'));
}

async function endServer(clusterDirectory: string): Promise<void> {
  const pid = await livePostmaster(clusterDirectory);
  if (pid) process.kill(pid, 'SIGQUIT');
  await eventually('end of a server', async () => (await livePostmaster(clusterDirectory)) === undefined);
}
