/** While open, one caller in this many milliseconds may try whether the server is back. */
const PROBE_EVERY_MS = 500;
/** So many failures in a row mean that the server is away, not that one connection was cut. */
const OPENS_AFTER = 5;

/** Spares callers the wait for a server that is known to be away. */
export class CircuitBreaker {
  private failures = 0;
  private nextProbeMs = 0;

  constructor(private readonly monotonicMs: () => number = () => performance.now()) {}

  mayTry(): boolean {
    if (this.failures < OPENS_AFTER) return true;
    const now = this.monotonicMs();
    if (now < this.nextProbeMs) return false;
    this.nextProbeMs = now + PROBE_EVERY_MS;
    return true;
  }

  succeeded(): void {
    this.failures = 0;
  }

  failed(): void {
    this.failures += 1;
    if (this.failures === OPENS_AFTER) this.nextProbeMs = this.monotonicMs() + PROBE_EVERY_MS;
  }
}
