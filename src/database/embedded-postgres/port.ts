import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';
import { NotYetError } from './errors.js';

/**
 * Below the ports that systems lend to outgoing connections (Linux: 32768 and up), which could
 * otherwise take the server's port while it restarts.
 */
const FIRST_PORT = 20_000;
const LAST_PORT = 31_999;
const MAX_TRIES = 50;

/** The remembered port if it is free, otherwise a random free one. */
export async function choosePort(remembered: number | undefined): Promise<number> {
  if (remembered !== undefined && (await isPortFree(remembered))) return remembered;
  for (let tries = 0; tries < MAX_TRIES; tries++) {
    const port = randomInt(FIRST_PORT, LAST_PORT + 1);
    if (await isPortFree(port)) return port;
  }
  throw new NotYetError(`none of ${MAX_TRIES} ports tried on 127.0.0.1 is free`);
}

export function isPortFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => server.close(() => resolve(true)));
  });
}
