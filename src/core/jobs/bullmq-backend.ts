import { setTimeout as sleep } from 'node:timers/promises';
import { Pool, type ClientConfig } from 'pg';
import {
  createPostgresBackend,
  runMigrations,
  withBackend,
  type BackendFactory,
  type PostgresConnectionOptions,
  type PostgresQueueBackend,
} from 'bullmq';

/** BullMQ finds its functions through the search path, and only in a schema of this name. */
export const JOBS_SCHEMA = 'bullmq';

/** Connections for commands; each worker needs one more for LISTEN. */
const COMMAND_CONNECTIONS = 6;
/** In seconds. BullMQ's own 3,600 lets a worker sleep for an hour after a lost notification. */
const MAX_BLOCK_SECONDS = 5;
/** Without a pause a failing server is asked 200–500 times a second as long as there is a backlog. */
const PAUSE_AFTER_FAILURE_MS = 1_000;

/** BullMQ's PostgreSQL backend, with the two weak points mended that docs/decisions/0002 measured. */
const backend: BackendFactory<PostgresQueueBackend, PostgresConnectionOptions> = (
  name,
  options,
  factoryOptions,
) => {
  const made = createPostgresBackend(name, options, factoryOptions);
  Object.defineProperty(made, 'maximumBlockTimeout', { value: MAX_BLOCK_SECONDS });
  const moveToActive = made.moveToActive.bind(made);
  made.moveToActive = async (...args): ReturnType<typeof moveToActive> => {
    try {
      return await moveToActive(...args);
    } catch (error) {
      await sleep(PAUSE_AFTER_FAILURE_MS);
      throw error;
    }
  };
  return made;
};

export const { Queue, Worker } = withBackend(backend);

/** The one pool that all queues and workers of this process share. */
export function jobsPool(address: ClientConfig, workers: number, onError: (error: Error) => void): Pool {
  const pool = new Pool({
    ...address,
    max: COMMAND_CONNECTIONS + workers,
    keepAlive: true,
    connectionTimeoutMillis: 2_000,
    query_timeout: 5_000,
    statement_timeout: 5_000,
    idleTimeoutMillis: 30_000,
    application_name: 'vigia-jobs',
    options: `-c search_path=${JOBS_SCHEMA}`,
  });
  pool.setMaxListeners(0); // every queue and worker adds one and never takes it away
  pool.on('error', onError);
  pool.on('connect', (client) => client.on('error', onError));
  return pool;
}

export async function migrateJobs(pool: Pool): Promise<void> {
  const client = await pool.connect();
  try {
    await runMigrations(client, JOBS_SCHEMA);
  } finally {
    client.release();
  }
}
