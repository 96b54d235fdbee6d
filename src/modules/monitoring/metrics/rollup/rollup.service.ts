import { Injectable, type OnApplicationBootstrap } from '@nestjs/common';
import { Clock, Instance, LeaderLoop, Leases, Shutdown, type Lease } from '../../../../core/index.js';
import { RollupStore, type RollupKind } from './rollup.store.js';

const LEASE = 'metrics-rollup';
const INTERVAL_MS = 5_000;
/** A run ends before its lease of 15 s can; the next one goes on where it stopped. */
const RUN_BUDGET_MS = 8_000;

/** When a bucket is ripe after its begin, and how many go into one transaction of well below a second. */
const KINDS: readonly { readonly kind: RollupKind; readonly ripeAfterMs: number; readonly batch: number }[] =
  [
    // A bucket waits a moment for its last samples, so that it is seldom computed twice.
    { kind: 'minute', ripeAfterMs: 65_000, batch: 120 },
    { kind: 'hour', ripeAfterMs: 3_600_000 + 90_000, batch: 12 },
    { kind: 'business', ripeAfterMs: 3_600_000 + 30_000, batch: 12 },
    { kind: 'routes', ripeAfterMs: 3_600_000 + 150_000, batch: 1 },
  ];

/** Makes roll-ups on whichever instance holds the lease, and catches up after an outage in bounded batches. */
@Injectable()
export class RollupService implements OnApplicationBootstrap {
  private readonly loop: LeaderLoop;

  constructor(
    private readonly store: RollupStore,
    private readonly clock: Clock,
    private readonly shutdown: Shutdown,
    leases: Leases,
    instance: Instance,
  ) {
    const options = { name: LEASE, holder: instance.holder, intervalMs: INTERVAL_MS };
    this.loop = new LeaderLoop(options, leases, clock, async (lease) => void (await this.run(lease)));
  }

  onApplicationBootstrap(): void {
    this.loop.start();
    this.shutdown.register('jobs', LEASE, () => this.loop.stop());
  }

  /** Rolls up all that is ripe, as far as the time of one run reaches. @returns buckets rolled */
  async run(lease: Lease): Promise<number> {
    const endMs = this.clock.monotonicMs() + RUN_BUDGET_MS;
    let rolled = 0;
    for (const { kind, ripeAfterMs, batch } of KINDS) {
      let count = batch;
      while (count === batch && this.clock.monotonicMs() < endMs) {
        count = await this.store.roll(kind, lease, this.clock.now() - ripeAfterMs, batch);
        rolled += count;
      }
    }
    return rolled;
  }
}
