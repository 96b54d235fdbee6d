import { Logger } from '@nestjs/common';
import { Cluster, Redis, type ClusterOptions, type RedisOptions } from 'ioredis';

export type RedisClient = Redis | Cluster;
export type RedisRole = 'commands' | 'subscriber' | 'limiter';
export type RedisStatus = 'absent' | 'up' | 'down';

const CONNECT_TIMEOUT_MS = 2_000;
const COMMAND_TIMEOUT_MS = 2_000;
/** A rate-limit decision has a budget of 50 ms; its client gives up well before. */
const LIMITER_COMMAND_TIMEOUT_MS = 40;
const MAX_RECONNECT_DELAY_MS = 2_000;

/**
 * The Redis connections of this process, each a client of its own because their needs differ:
 * `commands` for ordinary work, `subscriber` because a subscribed connection can do nothing else,
 * `limiter` because it must fail in milliseconds. None queues commands while disconnected: a lost
 * Redis is an error at once, never a hanging request. Absence or loss never stops the app.
 */
export class RedisConnections {
  private readonly logger = new Logger(RedisConnections.name);
  private readonly clients = new Map<RedisRole, RedisClient>();

  /** @param url `redis://`, `rediss://`, or a comma-separated list of cluster nodes; undefined for no Redis */
  constructor(private readonly url: string | undefined) {
    if (url) this.client('commands');
  }

  get status(): RedisStatus {
    if (!this.url) return 'absent';
    return this.clients.get('commands')?.status === 'ready' ? 'up' : 'down';
  }

  /** @returns null when no Redis is configured */
  get commands(): RedisClient | null {
    return this.client('commands');
  }

  get subscriber(): RedisClient | null {
    return this.client('subscriber');
  }

  get limiter(): RedisClient | null {
    return this.client('limiter');
  }

  /** @returns the round trip of a PING on the live client, in milliseconds */
  async ping(): Promise<number> {
    if (!this.commands) throw new Error('no Redis is configured');
    const startedMs = performance.now();
    await this.commands.ping();
    return performance.now() - startedMs;
  }

  close(): void {
    for (const client of this.clients.values()) client.disconnect();
  }

  private client(role: RedisRole): RedisClient | null {
    if (!this.url) return null;
    const known = this.clients.get(role);
    if (known) return known;
    const made = open(this.url, optionsFor(role));
    this.clients.set(role, made);
    this.watch(made, role);
    return made;
  }

  /** Without an error listener a lost Redis would end the process. One line a transition, not one a retry. */
  private watch(client: RedisClient, role: RedisRole): void {
    let down = false;
    client.on('error', (error: Error) => {
      if (!down) this.logger.warn(`Redis (${role}) is not reachable: ${error.message}`);
      down = true;
    });
    client.on('ready', () => {
      if (down) this.logger.log(`Redis (${role}) is back`);
      down = false;
    });
  }
}

function optionsFor(role: RedisRole): RedisOptions {
  return {
    connectTimeout: CONNECT_TIMEOUT_MS,
    commandTimeout: role === 'limiter' ? LIMITER_COMMAND_TIMEOUT_MS : COMMAND_TIMEOUT_MS,
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    retryStrategy: (attempt) => Math.min(100 * 2 ** Math.min(attempt, 10), MAX_RECONNECT_DELAY_MS),
    connectionName: `vigia-${role}`,
  };
}

function open(url: string, options: RedisOptions): RedisClient {
  const nodes = url
    .split(',')
    .map((node) => node.trim())
    .filter(Boolean);
  if (nodes.length === 1) return new Redis(nodes[0] ?? url, options);
  const first = new URL(nodes[0] ?? '');
  const cluster: ClusterOptions = {
    enableOfflineQueue: false,
    clusterRetryStrategy: options.retryStrategy,
    redisOptions: {
      ...options,
      ...(first.username && { username: decodeURIComponent(first.username) }),
      ...(first.password && { password: decodeURIComponent(first.password) }),
      ...(first.protocol === 'rediss:' && { tls: {} }),
    },
  };
  return new Cluster(nodes, cluster);
}
