import { Injectable } from '@nestjs/common';

const LEAST_INTERVAL_MS = 1_000;

/** What a library user set for this process, for collections and checks alike, instead of the configured intervals. */
@Injectable()
export class OwnInterval {
  private ownMs: number | undefined;

  get ms(): number | undefined {
    return this.ownMs;
  }

  /**
   * @param intervalMs undefined returns to the configuration
   * @throws RangeError below one second
   */
  set(intervalMs: number | undefined): void {
    if (intervalMs !== undefined && !(intervalMs >= LEAST_INTERVAL_MS))
      throw new RangeError(`the least interval is ${LEAST_INTERVAL_MS} ms`);
    this.ownMs = intervalMs;
  }
}
