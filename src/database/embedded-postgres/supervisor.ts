import { setTimeout as sleep } from 'node:timers/promises';
import type { Binaries } from './binaries.js';
import { EmbeddedPostgresError, NotYetError, reasonOf, textIn } from './errors.js';
import type { Layout } from './layout.js';
import { LockSession } from './lock-session.js';
import { choosePort, isPortFree } from './port.js';
import { launchServer, lookForServer, stopServer, waitUntilReady } from './postmaster.js';
import { boundLog } from './server-log.js';
import type { ServerSettings } from './settings.js';

export interface EmbeddedPostgresLog {
  info(message: string): void;
  warn(message: string): void;
  error(message: string): void;
}

export interface Supervised {
  readonly binaries: Binaries;
  readonly layout: Layout;
  readonly password: string;
  readonly settings: ServerSettings | undefined;
  readonly log: EmbeddedPostgresLog;
}

interface Joined {
  readonly session: LockSession;
  readonly port: number;
  readonly adopted: boolean;
}

/** Longer than the stop of a server takes (10 s), which a start may have to wait for. */
const JOIN_TIMEOUT_MS = 20_000;
const JOIN_RETRY_MS = 100;
const FIRST_BACKOFF_MS = 250;
const MAX_BACKOFF_MS = 5_000;
/** A server that ran that long has recovered, and the next failure is a new one. */
const STABLE_AFTER_MS = 10_000;
const STOP_PATIENCE_MS = 10_000;
const LOG_CHECK_INTERVAL_MS = 60_000;

/**
 * Keeps one server running for any number of processes that use the same data folder. Nobody is its
 * master: whoever finds it dead starts it, and the last one to leave stops it.
 */
export class Supervisor {
  private joined?: Joined;
  private joinedAtMs = 0;
  private backoffMs = 0;
  private rejoining = Promise.resolve();
  private stopped?: Promise<void>;
  /** From now on a lost server stays lost. */
  private readonly stopping = new AbortController();
  /** Nothing may be waited for any longer. */
  private readonly gone = new AbortController();

  constructor(private readonly parts: Supervised) {}

  /** Joins or starts the server, retrying for 20 s while others come and go. */
  async start(): Promise<{ port: number; adopted: boolean }> {
    const joined = await this.joinPatiently();
    this.watch(joined);
    await this.checkLog();
    void this.keepLogBounded();
    return joined;
  }

  /** Leaves the server, and stops it if no other process uses it. Never rejects; may be called twice. */
  stop(): Promise<void> {
    return (this.stopped ??= this.leave());
  }

  private async joinPatiently(): Promise<Joined> {
    const deadline = performance.now() + JOIN_TIMEOUT_MS;
    for (;;) {
      try {
        return await this.joinWithDatabase();
      } catch (error) {
        if (!(error instanceof NotYetError)) throw error;
        if (performance.now() > deadline) throw notReady(this.parts.layout.clusterDirectory, error);
      }
      await sleep(JOIN_RETRY_MS);
    }
  }

  private async joinWithDatabase(): Promise<Joined> {
    const joined = await this.join(() => choosePort(this.parts.layout.remembered?.port));
    return closingOnFailure(joined.session, async () => {
      await joined.session.ensureDatabase();
      return joined;
    });
  }

  /** One try. `portToUse` answers where to listen if the server has to be started. */
  private async join(portToUse: () => Promise<number>): Promise<Joined> {
    const { clusterDirectory } = this.parts.layout;
    const { signal } = this.gone;
    const { running, impostorPid } = await lookForServer(clusterDirectory);
    const port = running ? (await waitUntilReady(clusterDirectory, signal)).port : await portToUse();
    if (!running) await launchServer({ ...this.parts, port, impostorPid, signal });
    return { port, adopted: running !== undefined, session: await this.openSession(port) };
  }

  private async openSession(port: number): Promise<LockSession> {
    const session = await LockSession.open(port, this.parts.password);
    return closingOnFailure(session, async () => {
      if (await session.holdShared()) return session;
      throw new NotYetError('another process is stopping its server');
    });
  }

  private watch(joined: Joined): void {
    this.joined = joined;
    this.joinedAtMs = performance.now();
    void joined.session.end().then((cause) => this.lost(joined.port, cause));
  }

  private lost(port: number, cause: string): void {
    this.joined = undefined;
    if (this.stopping.signal.aborted) return;
    this.parts.log.warn(`lost PostgreSQL on port ${port} (${cause}): bringing it back`);
    if (performance.now() - this.joinedAtMs > STABLE_AFTER_MS) this.backoffMs = 0;
    this.rejoining = this.rejoin(port);
  }

  /** Never gives up: nothing works without the database, and its cure (space, memory) may come late. */
  private async rejoin(port: number): Promise<void> {
    const { signal } = this.stopping;
    while (!signal.aborted) {
      await sleep(this.backoffMs, undefined, { signal }).catch(ignoreAbort);
      if (signal.aborted) return;
      this.growBackoff();
      try {
        return await this.rejoinOnce(port);
      } catch (error) {
        const level = error instanceof NotYetError ? 'warn' : 'error';
        this.parts.log[level](`PostgreSQL is not back, next try in ${this.backoffMs} ms: ${reasonOf(error)}`);
      }
    }
  }

  /** On the old port only: it is in the URL that this process' pools have. */
  private async rejoinOnce(port: number): Promise<void> {
    const joined = await this.join(() => this.requirePort(port));
    await closingOnFailure(joined.session, async () => {
      this.gone.signal.throwIfAborted();
      if (joined.port === port) return;
      throw new Error(`it now listens on port ${joined.port} instead of ${port}: restart this process`);
    });
    this.watch(joined);
    this.parts.log.info(`PostgreSQL is ${joined.adopted ? 'back' : 'restarted'} on port ${port}`);
  }

  private async requirePort(port: number): Promise<number> {
    if (await isPortFree(port)) return port;
    const { running } = await lookForServer(this.parts.layout.clusterDirectory);
    if (running) throw new NotYetError('another process is starting it');
    throw new Error(`another program listens on its port ${port}`);
  }

  private growBackoff(): void {
    this.backoffMs = Math.min(MAX_BACKOFF_MS, Math.max(FIRST_BACKOFF_MS, this.backoffMs * 2));
  }

  private async keepLogBounded(): Promise<void> {
    const { signal } = this.stopping;
    while (!signal.aborted) {
      await sleep(LOG_CHECK_INTERVAL_MS, undefined, { signal, ref: false }).catch(ignoreAbort);
      await this.checkLog();
    }
  }

  private async checkLog(): Promise<void> {
    try {
      await boundLog(this.parts.layout.logFile);
    } catch (error) {
      this.parts.log.warn(`PostgreSQL's log could not be shortened: ${reasonOf(error)}`);
    }
  }

  private async leave(): Promise<void> {
    this.stopping.abort();
    await Promise.race([this.rejoining, sleep(STOP_PATIENCE_MS, undefined, { ref: false })]);
    this.gone.abort();
    try {
      await this.leaveOnce();
    } catch (error) {
      this.parts.log.warn(`PostgreSQL was not stopped, the next start takes care of it: ${reasonOf(error)}`);
    }
  }

  /** Only who gets the exclusive lock is the last one; while it is held nobody can join. */
  private async leaveOnce(): Promise<void> {
    const session = this.joined?.session ?? (await this.openForStop());
    if (!session) return;
    try {
      if (!(await session.exchangeForExclusive())) return;
      await stopServer(this.parts.binaries, this.parts.layout);
      this.parts.log.info('PostgreSQL stopped');
    } finally {
      await session.close();
    }
  }

  private async openForStop(): Promise<LockSession | undefined> {
    const { running } = await lookForServer(this.parts.layout.clusterDirectory);
    if (!running || running.status === 'stopping') return undefined;
    return LockSession.open(running.port, this.parts.password);
  }
}

async function closingOnFailure<T>(session: LockSession, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    await session.close();
    throw error;
  }
}

function ignoreAbort(error: unknown): void {
  if (textIn(error, 'name') !== 'AbortError') throw error;
}

function notReady(clusterDirectory: string, cause: NotYetError): EmbeddedPostgresError {
  return new EmbeddedPostgresError(
    'NOT_READY',
    `PostgreSQL on ${clusterDirectory} was not to be had within ${JOIN_TIMEOUT_MS / 1000} s: ${cause.message}`,
    { cause },
  );
}
