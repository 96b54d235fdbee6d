import { Injectable, type OnApplicationBootstrap, type OnModuleInit } from '@nestjs/common';
import {
  AddressGuard,
  Clock,
  Instance,
  InstanceBus,
  LeaderLoop,
  Leases,
  Shutdown,
  Ticker,
  type Lease,
} from '../../../core/index.js';
import { CheckFailedError } from '../health/error-code.js';
import { CheckRunner, type HealthCheck } from '../health/check-runner.js';
import { ComponentHistory } from '../health/component-history.js';
import { ComponentStatusStore } from '../health/stores/component-status.store.js';
import { componentOf, type OutsideCheck } from './outside-check.types.js';
import { probe } from './outside-probes.js';
import { CHECKS_TOPIC, OutsideChecksStore, type SharedState } from './stores/outside-checks.store.js';
import { parseTarget, TargetInvalidError, type Target } from './target.js';

const SYNC_INTERVAL_MS = 2_000;
/** A result travels by one write of the leader and one read here. */
const SYNC_SLACK_MS = 3 * SYNC_INTERVAL_MS;
/** The bus brings a change at once; this finds one whose reading failed just then. */
const RESYNC_INTERVAL_MS = 30_000;
const PRUNE_INTERVAL_MS = 3_600_000;
const FAILURES_TO_DOWN = 2;
const PASSES_TO_UP = 1;

/**
 * Watches the outside targets on one instance, the leader, and lets the others see what it found. When
 * the leader is lost, another takes over within the lease's 15 s, goes on counting from the last stored
 * results, and records the time in between as watched by nobody. A leader that loses PostgreSQL watches
 * on until it learns of another one, so that a single instance has no gap; what it saw is written
 * afterwards, or dropped if another has watched.
 */
@Injectable()
export class OutsideWatcher implements OnModuleInit, OnApplicationBootstrap {
  private readonly loop: LeaderLoop;
  private readonly follower: Ticker;
  private readonly known = new Map<string, { readonly name: string; readonly version: number }>();
  private lease: Lease | undefined;
  private syncedMs = -Infinity;
  private prunedMs: number | undefined;
  private syncing: Promise<void> = Promise.resolve();

  constructor(
    private readonly store: OutsideChecksStore,
    private readonly statusStore: ComponentStatusStore,
    private readonly runner: CheckRunner,
    private readonly history: ComponentHistory,
    private readonly guard: AddressGuard,
    private readonly bus: InstanceBus,
    private readonly shutdown: Shutdown,
    private readonly clock: Clock,
    leases: Leases,
    private readonly instance: Instance,
  ) {
    const options = { name: 'outside-checks', holder: instance.holder, intervalMs: SYNC_INTERVAL_MS };
    this.loop = new LeaderLoop(options, leases, clock, (lease) => this.lead(lease));
    this.follower = new Ticker({ name: 'outside-checks-follower', intervalMs: SYNC_INTERVAL_MS }, clock, () =>
      this.follow(),
    );
  }

  get isLeader(): boolean {
    return this.loop.isLeader;
  }

  async onModuleInit(): Promise<void> {
    this.bus.on(CHECKS_TOPIC, () => this.sync());
    this.shutdown.register('jobs', 'outside checks', () => this.stop());
    await this.sync();
  }

  onApplicationBootstrap(): void {
    this.loop.start();
    this.follower.start();
  }

  /** Rereads the list; what changed begins anew, what did not goes on. One rereading at a time. */
  sync(): Promise<void> {
    this.syncing = this.syncing.then(
      () => this.reread(),
      () => this.reread(),
    );
    return this.syncing;
  }

  private async stop(): Promise<void> {
    await this.follower.stop();
    try {
      // The next leader takes the time since our last confirmation for unwatched, so confirm all of it.
      if (this.lease && this.loop.isLeader) await this.write(this.lease, true);
    } finally {
      await this.loop.stop();
      this.lease = undefined;
    }
  }

  private async reread(): Promise<void> {
    const checks = await this.store.list();
    this.syncedMs = this.clock.monotonicMs();
    const versions = new Map(checks.map(({ id, updatedAt }) => [id, updatedAt.getTime()]));
    // All that ended first: a name that one check gave up may be another's already.
    for (const [id, { name, version }] of this.known)
      if (versions.get(id) !== version) this.unwatch(id, name);
    for (const check of checks) this.watch(check);
  }

  private watch(check: OutsideCheck): void {
    if (this.known.has(check.id)) return;
    this.known.set(check.id, { name: check.name, version: check.updatedAt.getTime() });
    this.runner.add(this.toHealthCheck(check));
  }

  private unwatch(id: string, name: string): void {
    this.known.delete(id);
    this.runner.remove(componentOf(name));
    this.history.forget(componentOf(name));
  }

  private toHealthCheck(check: OutsideCheck): HealthCheck {
    return {
      name: componentOf(check.name),
      critical: check.critical,
      intervalMs: () => check.intervalMs,
      timeoutMs: check.timeoutMs,
      failuresToDown: FAILURES_TO_DOWN,
      passesToUp: PASSES_TO_UP,
      degradedAboveMs: check.degradedAboveMs,
      slackMs: SYNC_SLACK_MS,
      isOurs: () => this.lease !== undefined,
      run: ({ signal }) => probe(targetOf(check), this.guard, signal),
    };
  }

  private async lead(lease: Lease): Promise<void> {
    // One more than ours is our own that expired, as it does while PostgreSQL is away: nobody had it in
    // between, so what we saw meanwhile is all there is, and it is written.
    const kept = this.lease !== undefined && lease.token - this.lease.token <= 1;
    if (kept) this.lease = lease;
    else await this.takeOver(lease);
    await this.write(lease);
    await this.pruneHourly(lease);
    await this.resync();
  }

  private async takeOver(lease: Lease): Promise<void> {
    this.history.yieldShared();
    await this.statusStore.closeShared(lease);
    await this.adoptAll();
    this.lease = lease;
  }

  private async follow(): Promise<void> {
    if (this.loop.isLeader) return;
    if (this.lease) {
      // Not to have renewed it says nothing, for PostgreSQL may be away: only another holder ends our watch.
      if (!(await this.store.isWatchedByOther(this.lease, this.instance.holder))) return;
      this.history.yieldShared();
      this.lease = undefined;
    }
    await this.adoptAll();
    await this.resync();
  }

  private async adoptAll(): Promise<void> {
    for (const { name, state, ageMs } of await this.store.readStates())
      this.runner.adopt(componentOf(name), state, ageMs);
  }

  private async resync(): Promise<void> {
    if (this.clock.monotonicMs() - this.syncedMs >= RESYNC_INTERVAL_MS) await this.sync();
  }

  private write(lease: Lease, confirmAll = false): Promise<void> {
    return this.store.writeStates(lease, this.ownStates(), (tx) =>
      this.history.flush(tx, 'shared', confirmAll),
    );
  }

  private ownStates(): SharedState[] {
    return [...this.known.values()].flatMap(({ name }) => {
      const state = this.runner.stateOf(componentOf(name));
      const ageMs = this.runner.viewOf(componentOf(name))?.ageMs;
      return state && ageMs != null ? [{ name, state, ageMs }] : [];
    });
  }

  private async pruneHourly(lease: Lease): Promise<void> {
    const now = this.clock.monotonicMs();
    if (this.prunedMs !== undefined && now - this.prunedMs < PRUNE_INTERVAL_MS) return;
    await this.statusStore.prune(lease);
    this.prunedMs = now;
  }
}

/** A stored target that this version cannot read is the check's failure, not ours. */
function targetOf({ kind, target }: OutsideCheck): Target {
  try {
    return parseTarget(kind, target);
  } catch (error) {
    throw error instanceof TargetInvalidError ? new CheckFailedError('TARGET_INVALID') : error;
  }
}
