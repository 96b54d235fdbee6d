import { availableParallelism } from 'node:os';
import type { Snapshot } from '../metrics.types.js';
import { Cgroup } from './cgroup.js';
import { growth } from './counter-rates.js';
import { numberIn, readText, type ReadText } from './text-file.js';

/** The kernel's own count of a CPU's time, in ticks since boot. */
export interface CpuTimes {
  readonly busy: number;
  readonly total: number;
}

/** The line of all CPUs in `/proc/stat`; guest time is already part of user time. */
export function parseCpuTimes(stat: string | null): CpuTimes | null {
  const [, columns] = /^cpu +(.+)$/m.exec(stat ?? '') ?? [];
  if (columns === undefined) return null;
  const [user = 0, nice = 0, system = 0, idle = 0, iowait = 0, irq = 0, softirq = 0, steal = 0] = columns
    .split(' ')
    .map(Number);
  const busy = user + nice + system + irq + softirq + steal;
  return { busy, total: busy + idle + iowait };
}

/** Percent of the time between two readings; null when the counters fell, as after a live migration. */
export function cpuPercent(before: CpuTimes, now: CpuTimes): number | null {
  const total = now.total - before.total;
  const busy = now.busy - before.busy;
  return total > 0 && busy >= 0 && busy <= total ? (busy / total) * 100 : null;
}

const LEAST_ELAPSED_MS = 250;

interface Reading {
  readonly atMs: number;
  readonly times: CpuTimes | null;
  readonly usageMicros: number | null;
}

/** CPU of the host; under a container quota that of the container, as a percent of its quota. */
export class CpuProbe {
  private previous: Reading | undefined;
  private usage: number | null = null;

  constructor(
    private readonly read: ReadText = readText,
    private readonly cgroup = new Cgroup(read),
    private readonly hostCores: () => number = availableParallelism,
  ) {}

  /** @param atMs monotonic time of this reading */
  async sample(atMs: number): Promise<Omit<Snapshot['cpu'], 'load'>> {
    const hostCores = this.hostCores();
    const [stat, container, frequencyMhz] = await Promise.all([
      this.read('/proc/stat'),
      this.cgroup.cpu(hostCores),
      this.frequency(),
    ]);
    const reading = { atMs, times: parseCpuTimes(stat), usageMicros: container?.usageMicros ?? null };
    return {
      usage: this.advance(reading, container?.quotaCores),
      cores: container?.quotaCores ?? hostCores,
      frequencyMhz,
    };
  }

  private advance(now: Reading, quotaCores: number | undefined): number | null {
    const { previous } = this;
    if (previous && now.atMs - previous.atMs < LEAST_ELAPSED_MS) return this.usage;
    this.previous = now;
    this.usage = previous ? usageBetween(previous, now, quotaCores) : null;
    return this.usage;
  }

  private async frequency(): Promise<number | null> {
    const kilohertz = numberIn(await this.read('/sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq'));
    if (kilohertz !== null) return kilohertz / 1000;
    const [, megahertz] = /^cpu MHz\s*: ([\d.]+)/m.exec((await this.read('/proc/cpuinfo')) ?? '') ?? [];
    return megahertz === undefined ? null : Number(megahertz);
  }
}

function usageBetween(before: Reading, now: Reading, quotaCores: number | undefined): number | null {
  if (quotaCores === undefined) return before.times && now.times && cpuPercent(before.times, now.times);
  if (before.usageMicros === null || now.usageMicros === null) return null;
  const allowedMicros = (now.atMs - before.atMs) * 1000 * quotaCores;
  return Math.min(100, (growth(before.usageMicros, now.usageMicros) / allowedMicros) * 100);
}
