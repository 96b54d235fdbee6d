import { Injectable, Logger, type OnApplicationShutdown } from '@nestjs/common';

/** In this order, after the HTTP server stopped accepting and finished what it had. */
const PHASES = ['jobs', 'flush', 'close'] as const;
export type ShutdownPhase = (typeof PHASES)[number];

/** One phase may take this long; what is not done by then is logged and left. */
const PHASE_TIMEOUT_MS = 4_000;

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

  /** True from the moment a stop was asked for: readiness answers 503. */
  get isDraining(): boolean {
    return this.draining;
  }

  beginDrain(): void {
    this.draining = true;
  }

  register(phase: ShutdownPhase, name: string, run: Step['run']): void {
    this.steps.get(phase)?.push({ name, run });
  }

  async onApplicationShutdown(): Promise<void> {
    this.beginDrain();
    for (const phase of PHASES) {
      await Promise.all((this.steps.get(phase) ?? []).map((step) => this.runStep(step)));
    }
  }

  private async runStep({ name, run }: Step): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const timeout = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`not done after ${PHASE_TIMEOUT_MS} ms`)), PHASE_TIMEOUT_MS);
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
