import { Logger } from '@nestjs/common';
import { SystemClock } from '../clock/clock.js';
import { Shutdown } from './shutdown.js';

describe(Shutdown.name, () => {
  afterEach(() => jest.restoreAllMocks());

  it('runs jobs before flushes before closes, whatever order they registered in', async () => {
    const shutdown = new Shutdown(new SystemClock());
    const order: string[] = [];
    for (const phase of ['close', 'flush', 'jobs'] as const)
      shutdown.register(phase, phase, () => void order.push(phase));
    await shutdown.onApplicationShutdown();
    expect(order).toEqual(['jobs', 'flush', 'close']);
  });

  it('flushes although a job never ends, and says which step was left', async () => {
    const error = jest.spyOn(Logger.prototype, 'error').mockImplementation(() => undefined);
    const shutdown = new Shutdown(new SystemClock());
    let flushed = false;
    shutdown.register('jobs', 'endless', () => new Promise<void>(() => undefined));
    shutdown.register('flush', 'buffers', () => void (flushed = true));
    shutdown.beginDrain(150);
    await shutdown.onApplicationShutdown();
    expect(flushed).toBe(true);
    expect(error).toHaveBeenCalledWith(expect.stringContaining('endless'));
  });

  it('goes on after a step that fails', async () => {
    jest.spyOn(Logger.prototype, 'error').mockImplementation(() => undefined);
    const shutdown = new Shutdown(new SystemClock());
    let closed = false;
    shutdown.register('flush', 'broken', () => Promise.reject(new Error('no')));
    shutdown.register('close', 'pool', () => void (closed = true));
    await shutdown.onApplicationShutdown();
    expect({ closed, draining: shutdown.isDraining }).toEqual({ closed: true, draining: true });
  });
});
