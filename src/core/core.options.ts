import type { DatabaseOptions } from './database/database.options.js';

export interface CoreOptions {
  /** Unique among the live instances; default `<hostname>:<pid>`. */
  readonly instanceId?: string;
  /** Where PostgreSQL is. Cache and rate limit run without; every other module needs it. */
  readonly database?: DatabaseOptions;
  /** False for a process that only adds jobs, such as a command line. Default true. */
  readonly runJobs?: boolean;
  /** Redis is optional: `redis://`, `rediss://`, or a comma-separated list of cluster nodes. */
  readonly redis?: { readonly url: string };
}

/** What this process is called among the live instances. */
export class Instance {
  constructor(
    readonly id: string,
    /** New with every start, so that counters which began anew are told from ones that fell. */
    readonly bootId: string,
    readonly startedAtMs: number,
  ) {}

  /**
   * Who we are to leases: two processes that were given one id by mistake, or a frozen one and its
   * successor, must not both hold a lease with one token.
   */
  get holder(): string {
    return `${this.id}/${this.bootId}`;
  }
}
