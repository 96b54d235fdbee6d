import { availableParallelism, loadavg } from 'node:os';
import si from 'systeminformation';
import { withinMs } from '../within.js';
import { HostProbe, type HostReading } from './host.probe.js';
import { MAX_MOUNTS } from './mounts.js';

/** These start child processes, so they may be slow; the tick does not wait longer. */
const DEADLINE_MS = 5_000;

/** macOS, Windows and the BSDs, by `systeminformation`, which asks the platform's own programs. */
export class PortableHostProbe extends HostProbe {
  private usageCalled = false;

  async sample(): Promise<HostReading> {
    const [cpu, memory, disk, network] = await Promise.all([
      this.cpu(),
      this.memory(),
      this.disk(),
      this.network(),
    ]);
    return { cpu, memory, disk, network };
  }

  private async cpu(): Promise<HostReading['cpu']> {
    const load = await attempt(() => si.currentLoad());
    const usage = this.usageCalled ? finite(load?.currentLoad) : null; // its first answer is since boot
    this.usageCalled = true;
    const [one, five, fifteen] = loadavg();
    const averages =
      process.platform === 'win32'
        ? ([null, null, null] as const)
        : ([finite(one), finite(five), finite(fifteen)] as const);
    return { usage, load: averages, cores: availableParallelism(), frequencyMhz: null };
  }

  private async memory(): Promise<HostReading['memory']> {
    const memory = await attempt(() => si.mem());
    const used = finite(memory?.active);
    const total = finite(memory?.total);
    return {
      ...{ used, total, available: finite(memory?.available) },
      percentage: used === null || !total ? null : (used / total) * 100,
      swapUsed: finite(memory?.swapused),
      swapTotal: finite(memory?.swaptotal),
      limitBytes: null,
      cachedBytes: finite(memory?.cached),
    };
  }

  private async disk(): Promise<HostReading['disk']> {
    const sizes = (await attempt(() => si.fsSize())) ?? [];
    const noTraffic = {
      readBytesPerSecond: null,
      writeBytesPerSecond: null,
      readsPerSecond: null,
      writesPerSecond: null,
    };
    return sizes.slice(0, MAX_MOUNTS).map(({ mount, used, size, use }) => ({
      mount,
      usedBytes: finite(used),
      totalBytes: finite(size),
      percentage: finite(use),
      ...noTraffic,
    }));
  }

  private async network(): Promise<HostReading['network']> {
    const stats = (await attempt(() => si.networkStats('*'))) ?? [];
    const sum = (key: 'rx_sec' | 'tx_sec') => {
      const rates = stats.map((one) => finite(one[key])).filter((rate) => rate !== null);
      return rates.length === 0 ? null : rates.reduce((total, rate) => total + rate, 0);
    };
    const unknown = { receivedPacketsPerSecond: null, sentPacketsPerSecond: null, errorsPerSecond: null };
    return { receivedBytesPerSecond: sum('rx_sec'), sentBytesPerSecond: sum('tx_sec'), ...unknown };
  }
}

async function attempt<T>(read: () => Promise<T>): Promise<T | null> {
  try {
    return await withinMs(DEADLINE_MS, read);
  } catch {
    return null; // not supported on this platform, or late: unknown
  }
}

/** It answers null, NaN or -1 for what it does not know. */
function finite(value: number | null | undefined): number | null {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0 ? value : null;
}
