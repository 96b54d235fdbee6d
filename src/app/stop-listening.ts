import type { Server } from 'node:http';
import { Server as NetServer } from 'node:net';
import { setImmediate as nextCheckPhase } from 'node:timers/promises';

/** A connection that is open but silent gets this long to bring the request that may be on its way. */
const GRACE_MS = 500;
const SWEEP_MS = 100;
/** Answers under way may take this long; then they are cut. */
const DEADLINE_MS = 8_000;

/**
 * Stops accepting, and resolves when every connection has ended. Node's own `close` cuts connections
 * without a request at once, also those that were accepted a moment ago and whose request is about to
 * arrive: their clients would see a reset instead of an answer.
 */
export async function stopListening(server: Server): Promise<void> {
  // Right after the loop's poll phase, which accepts all that waits: closing the listener resets whatever
  // the kernel has completed and nobody has accepted.
  await nextCheckPhase();
  const closed = new Promise<void>((resolve) => NetServer.prototype.close.call(server, () => resolve()));
  const idle = setTimeout(() => sweepIdle(server), GRACE_MS);
  const cut = setTimeout(() => server.closeAllConnections(), DEADLINE_MS);
  await closed;
  clearTimeout(idle);
  clearTimeout(cut);
}

/** Answers end one by one and leave idle connections behind. */
function sweepIdle(server: Server): void {
  server.closeIdleConnections();
  server.getConnections((error, open) => {
    if (!error && open > 0) setTimeout(() => sweepIdle(server), SWEEP_MS).unref();
  });
}
