import { Injectable } from '@nestjs/common';
import { Clock, Database, Instance } from '../../../core/index.js';
import { DatabaseProbe } from './probes/database.probe.js';
import { EventLoopProbe } from './probes/event-loop.probe.js';
import { HostProbe } from './probes/host.probe.js';
import { ProcessProbe } from './probes/process.probe.js';
import { RequestHooks } from './requests/request-hooks.js';
import { RequestRecorder } from './requests/request-recorder.js';
import { SnapshotSources } from './snapshot-sources.js';
import type { Snapshot } from './metrics.types.js';

/** Reads everything once and puts the document together. */
@Injectable()
export class SnapshotReader {
  private readonly processProbe = new ProcessProbe();
  private readonly databaseProbe: DatabaseProbe;

  constructor(
    private readonly clock: Clock,
    private readonly instance: Instance,
    private readonly host: HostProbe,
    private readonly eventLoop: EventLoopProbe,
    private readonly recorder: RequestRecorder,
    private readonly hooks: RequestHooks,
    private readonly sources: SnapshotSources,
    database: Database,
  ) {
    this.databaseProbe = new DatabaseProbe(database, clock);
  }

  /**
   * @param atMs the moment the snapshot stands for, epoch milliseconds
   * @returns the document, and the gauges of this process alone, which are stored with the tick
   */
  async read(atMs: number): Promise<{ snapshot: Snapshot; ownBusiness: Snapshot['business'] }> {
    const [host, process, database, outside, ownBusiness] = await Promise.all([
      this.host.sample(this.clock.monotonicMs()),
      this.process(),
      this.databaseProbe.sample(),
      this.outside(),
      this.sources.readGauges(),
    ]);
    const { postedBusiness, ...parts } = outside;
    const snapshot: Snapshot = {
      at: new Date(atMs).toISOString(),
      instance: this.instance.id,
      ...host,
      process,
      requests: this.requests(),
      database,
      ...parts,
      business: { ...postedBusiness, ...ownBusiness },
    };
    return { snapshot, ownBusiness };
  }

  private async process(): Promise<Snapshot['process']> {
    const { delayP99Ms, utilization } = this.eventLoop.sample();
    const [reading, connections] = await Promise.all([
      this.processProbe.sample(),
      this.hooks.openConnections(),
    ]);
    return { ...reading, eventLoopDelayP99Ms: delayP99Ms, eventLoopUtilization: utilization, connections };
  }

  /** Of the last 60 to 70 s; without an answer in that time only the counts are known. */
  private requests(): Snapshot['requests'] {
    const { requests, windowMs, serverErrors, clientErrors, avgMs, p95Ms, p99Ms } = this.recorder.summary();
    const percent = (count: number) => (requests > 0 ? (count / requests) * 100 : null);
    return {
      total: this.recorder.total,
      sampleCount: requests,
      perMinute: windowMs > 0 ? (requests * 60_000) / windowMs : null,
      avgResponseTime: avgMs,
      errorRate: percent(serverErrors),
      clientErrorRate: percent(clientErrors),
      p95: p95Ms,
      p99: p99Ms,
      active: this.recorder.active,
    };
  }

  private async outside() {
    const { sources } = this;
    const [cache, sockets, jobs, postedBusiness, activeUsers] = await Promise.all([
      sources.read('cache'),
      sources.read('sockets'),
      sources.read('jobs'),
      sources.read('postedBusiness'),
      sources.read('activeUsers'),
    ]);
    const activeNow = sources.has('activeUsers') ? activeUsers : this.recorder.activeUsers().length;
    return { cache, sockets, jobs, postedBusiness: postedBusiness ?? {}, users: { activeNow } };
  }
}
