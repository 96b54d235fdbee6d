import { setTimeout as sleep } from 'node:timers/promises';

/** Waits until `probe` gives something truthy, asking every 20 ms; fails with what was last seen. */
export async function eventually<T>(probe: () => Promise<T> | T, withinMs = 5_000): Promise<T> {
  const deadline = performance.now() + withinMs;
  let last: unknown;
  for (;;) {
    try {
      last = await probe();
      if (last) return last as T;
    } catch (error) {
      last = error;
    }
    if (performance.now() > deadline) {
      throw new Error(
        `not within ${withinMs} ms; last seen: ${last instanceof Error ? last.message : JSON.stringify(last)}`,
      );
    }
    await sleep(20);
  }
}
