import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { createServer, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { pino } from 'pino';
import type { Env } from '../config/env.js';
import { Shutdown, SystemClock } from '../core/index.js';
import { createApp } from './create-app.js';
import { loggerOptions } from './logging.js';
import { stopListening, trackSilent } from './stop-listening.js';
import { prepareResources, type Resources } from './resources.js';

/** From the signal to the exit; what is not done by then is cut. */
const STOP_DEADLINE_MS = 15_000;
/** Of that, for letting go of the embedded server. */
const RELEASE_MS = 1_000;

interface Running {
  readonly app: NestFastifyApplication;
  readonly silent: ReadonlySet<Socket>;
  readonly resources: Resources;
}

/** Starts the service, listens, and stops it in order when a signal comes. */
export async function run(env: Env): Promise<void> {
  const log = pino(loggerOptions(env.LOG_LEVEL));
  watchForDefects(log);
  // Before anything is made: a start that cannot listen must not spend the password that is shown once.
  await refuseTakenPort(env);
  const resources = await prepareResources(env, log);
  let app: NestFastifyApplication | undefined;
  try {
    app = await createApp({ env, resources, onAdminCreated: printAdmin });
    stopOnSignal({ app, silent: trackSilent(app.getHttpServer()), resources }, env, log);
    await listen(app, env);
  } catch (error) {
    await app?.close();
    await resources.release();
    throw error;
  }
}

async function listen(app: NestFastifyApplication, env: Env): Promise<void> {
  await app.listen(env.PORT, env.HOST);
  const url = await app.getUrl();
  announce(`Vigia is ready at ${url} (API documentation at ${url}/api/docs)`);
}

function refuseTakenPort({ PORT, HOST }: Env): Promise<void> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once('error', reject);
    probe.listen(PORT, HOST, () => probe.close(() => resolve()));
  });
}

/** The one place where a password is shown: it is stored nowhere. */
function printAdmin(email: string, password: string): void {
  announce(
    `First start: administrator ${email}, password ${password} (shown once, change it after signing in)`,
  );
}

/** What a person waits for: shown at every log level; plain on a terminal, else a log line like the others. */
function announce(message: string): void {
  const time = new Date(new SystemClock().now()).toISOString();
  const line = process.stdout.isTTY ? message : JSON.stringify({ level: 'info', time, msg: message });
  process.stdout.write(`${line}\n`);
}

function stopOnSignal(running: Running, env: Env, log: pino.Logger): void {
  let stopping = false;
  const stop = (signal: NodeJS.Signals) => {
    if (stopping) return;
    stopping = true;
    log.info(`${signal}: stopping`);
    setTimeout(() => {
      log.error(`not stopped after ${STOP_DEADLINE_MS} ms, exiting anyway`);
      process.exit(1);
    }, STOP_DEADLINE_MS).unref();
    stopInOrder(running, env).then(
      () => process.exit(0),
      (error: Error) => {
        log.error(error, 'the stop failed');
        process.exit(1);
      },
    );
  };
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
}

/** Readiness fails first, so that balancers send nothing new while the rest goes on serving. */
async function stopInOrder({ app, silent, resources }: Running, env: Env): Promise<void> {
  app.get(Shutdown).beginDrain(STOP_DEADLINE_MS - RELEASE_MS);
  await sleep(env.SHUTDOWN_DELAY_MS);
  await stopListening(app.getHttpServer(), silent);
  await app.close();
  await resources.release();
}

/** A forgotten promise must not end the service, and must not pass unseen either. */
function watchForDefects(log: pino.Logger): void {
  process.on('unhandledRejection', (reason) => log.error({ err: reason }, 'unhandled rejection'));
}
