import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Binaries } from './binaries.js';
import { EmbeddedPostgresError, NotYetError, codeOf, reasonOf } from './errors.js';
import { readIfPresent } from './files.js';
import type { Layout } from './layout.js';
import { environmentFor, runProgram, spawnOptionsFor } from './run-program.js';
import { lastComplaint, logSize } from './server-log.js';
import { asArguments, serverSettings } from './settings.js';
import type { ServerSettings } from './settings.js';

/** A running server, as its `postmaster.pid` describes it. */
export interface Postmaster {
  readonly pid: number;
  readonly port: number;
  readonly status: 'starting' | 'ready' | 'stopping';
}

export interface Sighting {
  readonly running?: Postmaster;
  /** A foreign process that has the number which a dead server left in `postmaster.pid`. */
  readonly impostorPid?: number;
}

/** Recovery after a crash replays at most about `max_wal_size` (1 GB) of log. */
const READY_TIMEOUT_MS = 120_000;
const STOP_TIMEOUT_MS = 10_000;
const POLL_MS = 10;

/** Line 1 is the process, line 4 the port, line 8 the status; undefined while the file is incomplete. */
export function parsePostmasterPid(text: string | undefined): Postmaster | undefined {
  const lines = (text ?? '').split('\n').map((line) => line.trim());
  const [pid, port, status] = [Number(lines[0]), Number(lines[3]), lines[7]];
  if (!Number.isInteger(pid) || pid <= 0 || !Number.isInteger(port) || port <= 0) return undefined;
  return { pid, port, status: status === 'ready' || status === 'stopping' ? status : 'starting' };
}

/** Looks for a live server of this folder, whoever started it. */
export async function lookForServer(clusterDirectory: string): Promise<Sighting> {
  const written = parsePostmasterPid(await readIfPresent(join(clusterDirectory, 'postmaster.pid')));
  if (!written || !isAlive(written.pid)) return {};
  if (await servesFolder(written.pid, clusterDirectory)) return { running: written };
  return { impostorPid: written.pid };
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return codeOf(error) === 'EPERM';
  }
}

/**
 * After a power cut, and at every restart of a container, the dead server's number may belong to
 * anyone. A dead process that nobody has reaped (in a container without init) has no command line.
 */
async function servesFolder(pid: number, clusterDirectory: string): Promise<boolean> {
  if (process.platform !== 'linux') return true;
  try {
    return (await readFile(`/proc/${pid}/cmdline`, 'utf8')).split('\0').includes(clusterDirectory);
  } catch (error) {
    // Gone meanwhile, or hidden because it is another user's: the server would be ours to see.
    if (['ENOENT', 'ESRCH', 'EACCES', 'EPERM'].includes(codeOf(error) ?? '')) return false;
    throw error;
  }
}

/** Waits while another process' server recovers. Throws `NotYetError` if it is going, or gone. */
export async function waitUntilReady(clusterDirectory: string, signal: AbortSignal): Promise<Postmaster> {
  const deadline = performance.now() + READY_TIMEOUT_MS;
  for (;;) {
    const { running } = await lookForServer(clusterDirectory);
    if (running?.status === 'ready') return running;
    if (running?.status !== 'starting') throw new NotYetError('its server is stopping');
    if (performance.now() > deadline) throw stillRecovering(clusterDirectory);
    await sleep(POLL_MS, undefined, { signal });
  }
}

export interface Launch {
  readonly binaries: Binaries;
  readonly layout: Layout;
  readonly port: number;
  readonly settings: ServerSettings | undefined;
  readonly impostorPid: number | undefined;
  /** Gives up waiting; the server goes on. */
  readonly signal: AbortSignal;
}

/**
 * Starts the server, which outlives this process, and waits until it takes connections.
 * PostgreSQL's own lock file decides when several processes do this at once: the others get a
 * `NotYetError`. Throws `START_FAILED` with the server's own words, or `NOT_READY` after two minutes.
 */
export async function launchServer(launch: Launch): Promise<void> {
  const { signal } = launch;
  const { clusterDirectory, logFile } = launch.layout;
  const logStart = await logSize(logFile);
  const fate = await spawnServer(launch);
  const deadline = performance.now() + READY_TIMEOUT_MS;
  while (!fate.ended) {
    const { running } = await lookForServer(clusterDirectory);
    if (running?.pid === fate.pid && running?.status === 'ready') return;
    if (performance.now() > deadline) throw stillRecovering(clusterDirectory);
    await sleep(POLL_MS, undefined, { signal });
  }
  if (fate.error) throw couldNotStart(clusterDirectory, reasonOf(fate.error), fate.error);
  throw failureFor(clusterDirectory, await lastComplaint(logFile, logStart, fate.pid));
}

interface Fate {
  readonly pid: number | undefined;
  ended: boolean;
  error?: Error;
}

/**
 * Directly rather than by `pg_ctl`: no shell takes part, and as our child a killed server does not
 * stay behind as a zombie, whose number would block the next one. `detached` gives it a session of
 * its own, so that Ctrl-C in the terminal reaches only us and the server stops after our last query.
 */
async function spawnServer(launch: Launch): Promise<Fate> {
  const { binaries, layout, port, settings, impostorPid } = launch;
  const args = ['-D', layout.clusterDirectory, ...asArguments(await serverSettings(port, settings))];
  const log = await open(layout.logFile, 'a', 0o600);
  try {
    const child = spawn(binaries.postgres, args, {
      ...spawnOptionsFor(binaries.postgres, layout.user),
      // PostgreSQL does not take this process for the folder's server, and then makes its other checks.
      env: environmentFor(impostorPid ? { PG_GRANDPARENT_PID: String(impostorPid) } : {}),
      stdio: ['ignore', log.fd, log.fd],
      detached: true,
    });
    return follow(child);
  } finally {
    await log.close();
  }
}

function follow(child: ChildProcess): Fate {
  const fate: Fate = { pid: child.pid, ended: false };
  child.once('exit', () => (fate.ended = true));
  child.once('error', (error) => Object.assign(fate, { ended: true, error }));
  child.unref();
  return fate;
}

/** Another process' server has the folder, its remains still end, or the port was taken meanwhile. */
const PASSING = /lock file|shared memory block .* is still in use|could not create any TCP\/IP sockets/;

function failureFor(clusterDirectory: string, complaint: string): Error {
  return PASSING.test(complaint) ? new NotYetError(complaint) : couldNotStart(clusterDirectory, complaint);
}

function couldNotStart(clusterDirectory: string, reason: string, cause?: unknown): EmbeddedPostgresError {
  const message = `PostgreSQL did not start on ${clusterDirectory}: ${reason}`;
  return new EmbeddedPostgresError('START_FAILED', message, { cause });
}

function stillRecovering(clusterDirectory: string): EmbeddedPostgresError {
  return new EmbeddedPostgresError(
    'NOT_READY',
    `PostgreSQL still recovers ${clusterDirectory} after ${READY_TIMEOUT_MS / 1000} s and goes on by itself: ` +
      'start Vigia again in some minutes',
  );
}

/**
 * Ends all sessions, writes everything to disk and waits for the end. Rejects after 10 s. Names its
 * process (`pg_ctl stop` would not): another start may put the next server in its place at once.
 */
export async function stopServer({ pgCtl }: Binaries, { clusterDirectory, user }: Layout): Promise<void> {
  const pid = (await lookForServer(clusterDirectory)).running?.pid;
  if (pid === undefined) return;
  await runProgram(pgCtl, ['kill', 'INT', String(pid)], { user, timeoutMs: STOP_TIMEOUT_MS });
  const deadline = performance.now() + STOP_TIMEOUT_MS;
  while ((await lookForServer(clusterDirectory)).running?.pid === pid) {
    if (performance.now() > deadline)
      throw new Error(`it is still stopping after ${STOP_TIMEOUT_MS / 1000} s`);
    await sleep(POLL_MS);
  }
}
