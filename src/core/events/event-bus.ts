import { Injectable, Logger } from '@nestjs/common';

type EventClass<E extends object> = new (...args: never[]) => E;
type Listener<E extends object> = (event: E) => void | Promise<void>;

/**
 * Announces facts inside this process: one class per event, named in the past tense, carrying
 * plain data. Listeners cannot hurt the publisher or each other. What must survive a crash is a
 * row and a job instead.
 */
@Injectable()
export class EventBus {
  private readonly logger = new Logger(EventBus.name);
  private readonly listeners = new Map<EventClass<object>, Set<Listener<object>>>();

  /** @returns a function that removes the listener */
  on<E extends object>(eventClass: EventClass<E>, listener: Listener<E>): () => void {
    const known = this.listeners.get(eventClass) ?? new Set();
    known.add(listener as Listener<object>);
    this.listeners.set(eventClass, known);
    return () => known.delete(listener as Listener<object>);
  }

  publish(event: object): void {
    for (const listener of this.listeners.get(event.constructor as EventClass<object>) ?? []) {
      void this.deliver(event, listener);
    }
  }

  private async deliver(event: object, listener: Listener<object>): Promise<void> {
    try {
      await listener(event);
    } catch (error) {
      this.logger.error(
        `a listener of ${event.constructor.name} failed: ${(error as Error).message}`,
        (error as Error).stack,
      );
    }
  }
}
