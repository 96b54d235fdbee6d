import type { Snapshot } from '../metrics.types.js';
import { Cgroup, limitBelow, type ContainerMemory } from './cgroup.js';
import { fieldIn, readText, type ReadText } from './text-file.js';

/** Memory and swap; in a container with a limit that of the container, since that is where it would be killed. */
export class MemoryProbe {
  constructor(
    private readonly read: ReadText = readText,
    private readonly cgroup = new Cgroup(read),
    /** Node's own idea of the limit: about 2^64 when there is none. */
    private readonly constrainedBytes: () => number = () => process.constrainedMemory(),
  ) {}

  async sample(): Promise<Snapshot['memory']> {
    const meminfo = await this.read('/proc/meminfo');
    const bytes = (key: string) => kibibytes(fieldIn(meminfo, `${key}:`));
    const host = { total: bytes('MemTotal'), available: bytes('MemAvailable') };
    const container = host.total === null ? null : await this.containerOf(host.total);
    const swapTotal = bytes('SwapTotal');
    if (container) return inContainer(container, host.available, swapTotal);
    const swapUsed = minus(swapTotal, bytes('SwapFree'));
    return { ...onHost(host), swapTotal, swapUsed, limitBytes: null, cachedBytes: bytes('Cached') };
  }

  private async containerOf(totalBytes: number): Promise<ContainerMemory | null> {
    const container = await this.cgroup.memory(totalBytes);
    if (container) return container;
    const limitBytes = limitBelow(this.constrainedBytes(), totalBytes);
    if (limitBytes === null) return null;
    return { limitBytes, usedBytes: null, cachedBytes: null, swapUsedBytes: null, swapLimitBytes: null };
  }
}

type Usage = Pick<Snapshot['memory'], 'used' | 'total' | 'available' | 'percentage'>;

function onHost({ total, available }: Pick<Usage, 'total' | 'available'>): Usage {
  const used = minus(total, available);
  return { used, total, available, percentage: percent(used, total) };
}

/** The host may run out before the container does. */
function inContainer(
  { limitBytes, usedBytes, ...container }: ContainerMemory,
  hostAvailable: number | null,
  hostSwapTotal: number | null,
): Snapshot['memory'] {
  const left = minus(limitBytes, usedBytes);
  const available = left === null ? null : Math.max(0, Math.min(left, hostAvailable ?? left));
  const { swapLimitBytes, swapUsedBytes, cachedBytes } = container;
  return {
    used: usedBytes,
    total: limitBytes,
    available,
    percentage: percent(usedBytes, limitBytes),
    swapTotal:
      swapLimitBytes === null || hostSwapTotal === null ? null : Math.min(swapLimitBytes, hostSwapTotal),
    swapUsed: swapUsedBytes,
    limitBytes,
    cachedBytes,
  };
}

function kibibytes(value: number | null): number | null {
  return value === null ? null : value * 1024;
}

function minus(whole: number | null, part: number | null): number | null {
  return whole === null || part === null ? null : whole - part;
}

function percent(part: number | null, whole: number | null): number | null {
  return part === null || whole === null || whole <= 0 ? null : Math.min(100, (part / whole) * 100);
}
