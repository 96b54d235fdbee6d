import { pino } from 'pino';
import { prepareResources, type Resources } from '../app/resources.js';
import { loadEnv, type Env } from '../config/env.js';

/** Runs a command against the database of this environment, starting the embedded one if need be. */
export async function withResources<T>(work: (resources: Resources, env: Env) => Promise<T>): Promise<T> {
  const env = loadEnv();
  const resources = await prepareResources(env, pino({ level: 'warn' }, pino.destination(2)));
  try {
    return await work(resources, env);
  } finally {
    await resources.release();
  }
}
