import { Injectable, Logger } from '@nestjs/common';
import type { MetricSample, Snapshot } from './metrics.types.js';
import { withinMs } from './within.js';

/** Parts of a snapshot that only others know, by the name of their group. */
export interface SnapshotParts {
  readonly jobs: NonNullable<Snapshot['jobs']>;
  readonly cache: NonNullable<Snapshot['cache']>;
  readonly sockets: NonNullable<Snapshot['sockets']>;
  /** Last values of gauges that other programs posted: shown in the snapshot, never stored again with the tick. */
  readonly postedBusiness: Snapshot['business'];
  /** Distinct users of the last 5 minutes over all instances; without a source it is this instance's own count. */
  readonly activeUsers: number;
}

type Answer<T> = Promise<T> | T;

/** Gauges that the surrounding program may add. */
export const MAX_GAUGES = 100;
/** Samples that others may add to one tick, e.g. `component.status` of each component. */
export const MAX_FURTHER_SAMPLES = 500;
/** A source that takes longer leaves its part null: the tick must not wait for it. */
const SOURCE_DEADLINE_MS = 2_000;

const GAUGE_NAME = /^[a-z][a-z0-9_]{0,62}(\.[a-z0-9_]{1,63}){0,3}$/;

/**
 * Other folders and modules say here how their part of the snapshot is read, and library users add
 * gauges. A reader that throws or is late leaves its part null, and is logged once until it succeeds.
 */
@Injectable()
export class SnapshotSources {
  private readonly logger = new Logger(SnapshotSources.name);
  private readonly parts = new Map<keyof SnapshotParts, () => Answer<unknown>>();
  private readonly gauges = new Map<string, () => Answer<number | null>>();
  private readonly further = new Map<string, () => readonly MetricSample[]>();
  private readonly failing = new Set<string>();
  /** Readers whose last call has not ended. */
  private readonly out = new Set<string>();

  register<K extends keyof SnapshotParts>(part: K, read: () => Answer<SnapshotParts[K] | null>): void {
    this.parts.set(part, read);
  }

  /** Adds series of catalogue metrics to every tick, e.g. `component.status` with label `component`. */
  registerSamples(owner: string, read: () => readonly MetricSample[]): void {
    this.further.set(owner, read);
  }

  /**
   * Adds `business.<name>`, read at every tick. Registering a name again replaces its reader.
   * @param name dotted lower snake case
   * @throws RangeError for another kind of name, or beyond 100 gauges
   */
  registerGauge(name: string, read: () => Answer<number | null>): void {
    if (!GAUGE_NAME.test(name))
      throw new RangeError('a gauge name is dotted lower snake case, e.g. orders.open');
    if (!this.gauges.has(name) && this.gauges.size >= MAX_GAUGES)
      throw new RangeError(`there are already ${MAX_GAUGES} gauges`);
    this.gauges.set(name, read);
  }

  /** Is there a source? Then null means that it failed. */
  has(part: keyof SnapshotParts): boolean {
    return this.parts.has(part);
  }

  /** Null without a source, and when the source fails. */
  async read<K extends keyof SnapshotParts>(part: K): Promise<SnapshotParts[K] | null> {
    const read = this.parts.get(part);
    return read ? ((await this.attempt(part, read)) as SnapshotParts[K] | null) : null;
  }

  /** The gauges that could be read. */
  async readGauges(): Promise<Record<string, number>> {
    const readings = await Promise.all(
      [...this.gauges].map(
        async ([name, read]) => [name, await this.attempt(`gauge ${name}`, read)] as const,
      ),
    );
    return Object.fromEntries(readings.filter((one): one is [string, number] => Number.isFinite(one[1])));
  }

  async furtherSamples(): Promise<MetricSample[]> {
    const lists = await Promise.all(
      [...this.further].map(([owner, read]) => this.attempt(`samples of ${owner}`, read)),
    );
    return lists.flatMap((samples) => samples ?? []).slice(0, MAX_FURTHER_SAMPLES);
  }

  /** One call at a time: each tick would add another to what hangs, and so exhaust a pool or the memory. */
  private async call<T>(what: string, read: () => Answer<T>): Promise<T> {
    this.out.add(what);
    try {
      return await read();
    } finally {
      this.out.delete(what);
    }
  }

  private async attempt<T>(what: string, read: () => Answer<T>): Promise<T | null> {
    try {
      if (this.out.has(what)) throw new Error('its last call has not ended');
      const value = await withinMs(SOURCE_DEADLINE_MS, () => this.call(what, read));
      this.failing.delete(what);
      return value;
    } catch (error) {
      if (!this.failing.has(what)) this.logger.warn(`${what} cannot be read: ${(error as Error).message}`);
      this.failing.add(what);
      return null;
    }
  }
}
