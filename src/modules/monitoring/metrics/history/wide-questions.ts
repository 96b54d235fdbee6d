import { Injectable } from '@nestjs/common';
import { Clock, RateLimitedError, VigiaError } from '../../../../core/index.js';

export class RangeTooWideError extends VigiaError {
  constructor() {
    super(
      400,
      'RANGE_TOO_WIDE',
      'this range holds too much to answer in time: ask for less time, fewer names or one instance',
    );
  }
}

/** Connections and memory that wide questions may hold at a time; the rest of the pool stays free. */
const AT_ONCE = 4;
/** With the 1.2 s that a statement may take, every answer comes within 2 s. */
const MAX_WAIT_MS = 400;
const MAX_WAITING = 64;
/** About as long as the questions under way may take. */
const RETRY_AFTER_MS = 2_000;

/**
 * Lets few wide questions run at a time, so that fifty at once neither take every connection nor fill
 * the memory. The others wait their turn for a moment and are then refused.
 */
@Injectable()
export class WideQuestions {
  private running = 0;
  private readonly waiting = new Set<() => void>();

  constructor(private readonly clock: Clock) {}

  /** @throws RateLimitedError when its turn does not come in time: the question is right, the moment is not */
  async run<T>(answer: () => Promise<T>): Promise<T> {
    await this.turn();
    try {
      return await answer();
    } finally {
      this.running -= 1;
      this.admitNext();
    }
  }

  private async turn(): Promise<void> {
    if (this.running < AT_ONCE) this.running += 1;
    else await this.wait();
  }

  private wait(): Promise<void> {
    if (this.waiting.size >= MAX_WAITING) return Promise.reject(this.busy());
    return new Promise((resolve, reject) => {
      const admit = () => {
        clearTimeout(timer);
        resolve();
      };
      const timer = setTimeout(() => {
        this.waiting.delete(admit);
        reject(this.busy());
      }, MAX_WAIT_MS);
      this.waiting.add(admit);
    });
  }

  private busy(): RateLimitedError {
    const message = 'too many wide ranges are being read just now';
    return new RateLimitedError(message, RETRY_AFTER_MS, this.clock.now());
  }

  private admitNext(): void {
    const [next] = this.waiting;
    if (!next) return;
    this.waiting.delete(next);
    this.running += 1;
    next();
  }
}
