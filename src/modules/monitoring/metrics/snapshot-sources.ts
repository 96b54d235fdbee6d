import type { Snapshot } from './metrics.types.js';

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

type Reader<T> = () => Promise<T | null> | T | null;

/**
 * Other folders and modules say here how their part of the snapshot is read. A reader must answer
 * within the collector's deadline for outside parts; one that throws, or is late, leaves its part null.
 */
export class SnapshotSources {
  private readonly readers = new Map<keyof SnapshotParts, Reader<unknown>>();

  register<K extends keyof SnapshotParts>(part: K, read: Reader<SnapshotParts[K]>): void {
    this.readers.set(part, read);
  }

  reader<K extends keyof SnapshotParts>(part: K): Reader<SnapshotParts[K]> | undefined {
    return this.readers.get(part) as Reader<SnapshotParts[K]> | undefined;
  }
}
