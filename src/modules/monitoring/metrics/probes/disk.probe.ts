import type { DiskSnapshot } from '../metrics.types.js';
import { CounterRates, type Counters } from './counter-rates.js';
import { DiskSpaces } from './disk-space.js';
import { parseMounts, type Mount } from './mounts.js';
import { readText, type ReadText } from './text-file.js';

/** The kernel counts in sectors of 512 bytes, whatever the device's own are. */
const SECTOR_BYTES = 512;
const NO_RATES = [null, null, null, null] as const;

/** Reads, bytes read, writes and bytes written of each device, under its `major:minor` and its name. */
export function parseDiskCounters(diskstats: string): Counters {
  const counters = new Map<string, readonly number[]>();
  for (const line of diskstats.split('\n')) {
    const [major, minor, name, reads, , sectorsRead, , writes, , sectorsWritten] = line.trim().split(/\s+/);
    if (name === undefined || sectorsWritten === undefined) continue;
    const values = [
      Number(reads),
      Number(sectorsRead) * SECTOR_BYTES,
      Number(writes),
      Number(sectorsWritten) * SECTOR_BYTES,
    ];
    counters.set(`${major}:${minor}`, values);
    counters.set(name, values);
  }
  return counters;
}

/** Space and traffic of each real mount. */
export class DiskProbe {
  private readonly rates = new CounterRates();

  constructor(
    private readonly read: ReadText = readText,
    private readonly spaces = new DiskSpaces(),
  ) {}

  /** @param atMs monotonic time of this reading */
  async sample(atMs: number): Promise<DiskSnapshot[]> {
    const [mountinfo, diskstats] = await Promise.all([
      this.read('/proc/self/mountinfo'),
      this.read('/proc/diskstats'),
    ]);
    const mounts = parseMounts(mountinfo ?? '');
    const rates = this.rates.update(parseDiskCounters(diskstats ?? ''), atMs);
    const spaces = await this.spaces.of(mounts);
    return mounts.flatMap((mount, i) => {
      const space = spaces[i];
      return space === undefined ? [] : [toSnapshot(mount, space, rates)];
    });
  }
}

function toSnapshot(
  mount: Mount,
  space: Pick<DiskSnapshot, 'usedBytes' | 'totalBytes' | 'percentage'> | null,
  rates: Counters,
): DiskSnapshot {
  const known = rates.get(mount.device) ?? rates.get(mount.sourceName) ?? NO_RATES;
  const [
    readsPerSecond = null,
    readBytesPerSecond = null,
    writesPerSecond = null,
    writeBytesPerSecond = null,
  ] = known;
  const { usedBytes = null, totalBytes = null, percentage = null } = space ?? {};
  return {
    mount: mount.mountPoint,
    ...{ usedBytes, totalBytes, percentage },
    ...{ readBytesPerSecond, writeBytesPerSecond, readsPerSecond, writesPerSecond },
  };
}
