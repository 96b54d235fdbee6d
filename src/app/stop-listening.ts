import type { IncomingMessage, Server } from 'node:http';
import { Server as NetServer, type Socket } from 'node:net';
import { setImmediate as nextCheckPhase } from 'node:timers/promises';

/** A connection without a request gets this long to bring the one that may be on its way. */
const GRACE_MS = 500;
const SWEEP_MS = 100;
/** Answers under way may take this long; then they are cut. */
const DEADLINE_MS = 4_000;

/**
 * The connections that have not brought a request yet. Node's `closeIdleConnections` passes them over,
 * so one silent socket (a browser's preconnect, a balancer's probe) would hold the stop to its deadline.
 */
export function trackSilent(server: Server): ReadonlySet<Socket> {
  const silent = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    silent.add(socket);
    socket.once('close', () => silent.delete(socket));
  });
  server.prependListener('request', ({ socket }: IncomingMessage) => silent.delete(socket));
  return silent;
}

/**
 * Stops accepting, and resolves when every connection has ended. Node's own `close` cuts connections
 * without a request at once, also those that were accepted a moment ago and whose request is about to
 * arrive: their clients would see a reset instead of an answer.
 */
export async function stopListening(server: Server, silent: ReadonlySet<Socket>): Promise<void> {
  // Right after the loop's poll phase, which accepts all that waits: closing the listener resets whatever
  // the kernel has completed and nobody has accepted.
  await nextCheckPhase();
  const closed = new Promise<void>((resolve) => NetServer.prototype.close.call(server, () => resolve()));
  const idle = setTimeout(() => sweepIdle(server, silent), GRACE_MS);
  const cut = setTimeout(() => server.closeAllConnections(), DEADLINE_MS);
  await closed;
  clearTimeout(idle);
  clearTimeout(cut);
}

/** Answers end one by one and leave idle connections behind. */
function sweepIdle(server: Server, silent: ReadonlySet<Socket>): void {
  server.closeIdleConnections();
  for (const socket of silent) socket.destroy();
  server.getConnections((error, open) => {
    if (!error && open > 0) setTimeout(() => sweepIdle(server, silent), SWEEP_MS).unref();
  });
}
