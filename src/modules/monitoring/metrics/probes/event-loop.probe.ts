import {
  monitorEventLoopDelay,
  performance,
  type EventLoopUtilization,
  type IntervalHistogram,
} from 'node:perf_hooks';

/** The timer that is watched: each of its ticks is one sample, 750 in 15 s. */
const RESOLUTION_MS = 20;

export interface EventLoopReading {
  /** How late timers fired since the last reading, 99th percentile; null without a sample. */
  readonly delayP99Ms: number | null;
  /** Share of the time since the last reading that the loop was busy, 0 to 1; null at the first reading. */
  readonly utilization: number | null;
}

/** The event loop of this process. One instance per process: a reading begins a new interval. */
export class EventLoopProbe {
  private readonly delay: IntervalHistogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  private utilization: EventLoopUtilization | undefined;

  start(): void {
    this.delay.enable();
  }

  stop(): void {
    this.delay.disable();
  }

  sample(): EventLoopReading {
    return { delayP99Ms: this.takeDelay(), utilization: this.takeUtilization() };
  }

  /** Node records the time between two ticks of its timer, which is the resolution when nothing is late. */
  private takeDelay(): number | null {
    if (this.delay.count === 0) return null;
    const p99Ms = Math.max(0, this.delay.percentile(99) / 1e6 - RESOLUTION_MS);
    this.delay.reset();
    return p99Ms;
  }

  private takeUtilization(): number | null {
    const now = performance.eventLoopUtilization();
    const before = this.utilization;
    this.utilization = now;
    return before ? performance.eventLoopUtilization(now, before).utilization : null;
  }
}
