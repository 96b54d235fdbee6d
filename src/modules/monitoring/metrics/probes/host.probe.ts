import type { Snapshot } from '../metrics.types.js';

/** What is read of the machine, or of the container, at one tick. */
export type HostReading = Pick<Snapshot, 'cpu' | 'memory' | 'disk' | 'network'>;

/** One adapter for Linux, one for every other platform. */
export abstract class HostProbe {
  /** @param atMs monotonic time of this reading, the basis of its rates */
  abstract sample(atMs: number): Promise<HostReading>;
}
