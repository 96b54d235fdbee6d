import { Injectable, Logger, type OnApplicationShutdown } from '@nestjs/common';
import { Clock } from '../clock/clock.js';

/** In this order, after the HTTP server stopped accepting and finished what it had. */
const PHASES = ['jobs', 'flush', 'close'] as const;
export type ShutdownPhase = (typeof PHASES)[number];

/** All phases together, where nobody set a deadline; what is not done by then is logged and left. */
const DEFAULT_BUDGET_MS = 9_000;

interface Step {
  readonly name: string;
  readonly run: () => Promise<void> | void;
}

/**
 * The order of an orderly stop. Nest's own hooks run module by module; what must be ordered across
 * modules (jobs before buffers, buffers before pools) registers here.
 */
@Injectable()
export class Shutdown implements OnApplicationShutdown {
  private readonly logger = new Logger(Shutdown.name);
  private readonly steps = new Map<ShutdownPhase, Step[]>(PHASES.map((phase) => [phase, []]));
  private draining = false;
  private deadlineMs: number | undefined;

  constructor(private readonly clock: Clock) {}

  /** True from the moment a stop was asked for: readiness answers 503. */
  get isDraining(): boolean {
    return this.draining;
  }

  /** @param budgetMs from now to the end of the last phase, the drain and open answers included */
  beginDrain(budgetMs?: number): void {
    this.draining = true;
    if (budgetMs !== undefined) this.deadlineMs = this.clock.monotonicMs() + budgetMs;
  }

  register(phase: ShutdownPhase, name: string, run: Step['run']): void {
    this.steps.get(phase)?.push({ name, run });
  }

  async onApplicationShutdown(): Promise<void> {
    this.beginDrain();
    this.deadlineMs ??= this.clock.monotonicMs() + DEFAULT_BUDGET_MS;
    for (const [i, phase] of PHASES.entries()) {
      // An even share of what is left: a job that runs on must not cost the buffers their flush.
      const timeoutMs = Math.max(0, this.deadlineMs - this.clock.monotonicMs()) / (PHASES.length - i);
      await Promise.all((this.steps.get(phase) ?? []).map((step) => this.runStep(step, timeoutMs)));
    }
  }

  private async runStep({ name, run }: Step, timeoutMs: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const timeout = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`not done after ${Math.round(timeoutMs)} ms`)), timeoutMs);
    });
    try {
      await Promise.race([run(), timeout]);
    } catch (error) {
      this.logger.error(`shutdown step ${name}: ${(error as Error).message}`);
    } finally {
      clearTimeout(timer);
    }
  }
}
