import { Logger } from '@nestjs/common';
import { RedisConnections } from '../../src/core/redis/redis-connections.js';
import { eventually } from '../support/eventually.js';
import { RedisServer } from '../support/redis-server.js';
import { TcpProxy } from '../support/tcp-proxy.js';

describe(RedisConnections.name, () => {
  let server: RedisServer;
  let proxy: TcpProxy;
  beforeAll(async () => {
    jest.spyOn(Logger.prototype, 'warn').mockImplementation(() => undefined);
    jest.spyOn(Logger.prototype, 'log').mockImplementation(() => undefined);
    server = await RedisServer.start();
    proxy = await TcpProxy.start({ host: '127.0.0.1', port: server.port });
  });
  afterAll(async () => {
    await proxy.stop();
    await server.stop();
    jest.restoreAllMocks();
  });

  it('is absent, and nothing more, where no Redis is configured', () => {
    const connections = new RedisConnections(undefined);
    expect([connections.status, connections.commands, connections.subscriber, connections.limiter]).toEqual([
      'absent',
      null,
      null,
      null,
    ]);
  });

  it('keeps commands, subscriber and limiter apart: a subscribed connection can do nothing else', async () => {
    const connections = new RedisConnections(server.url);
    await eventually(() => connections.status === 'up');
    await eventually(async () => {
      await connections.subscriber!.subscribe('channel');
      return true;
    });
    expect(await connections.commands!.set('k', 'v')).toBe('OK');
    await eventually(() => connections.limiter!.get('k').then((value) => value === 'v'));
    connections.close();
  });

  it('starts without a server, fails commands at once, and heals without a restart', async () => {
    await proxy.refuse();
    const connections = new RedisConnections(`redis://127.0.0.1:${proxy.port}`);
    expect(connections.status).toBe('down');
    await expect(connections.ping()).rejects.toThrow();
    await proxy.pass();
    await eventually(() => connections.status === 'up', 10_000);
    expect(await connections.ping()).toBeGreaterThan(0);
    connections.close();
  });

  it('gives up on a silent server within its time-out instead of hanging the request', async () => {
    await proxy.pass();
    const connections = new RedisConnections(`redis://127.0.0.1:${proxy.port}`);
    await eventually(() => connections.status === 'up');
    await eventually(() => connections.limiter!.status === 'ready');
    await proxy.blackHole();
    await expect(connections.limiter!.get('k')).rejects.toThrow(/timed out/i);
    await expect(connections.commands!.get('k')).rejects.toThrow(/timed out/i);
    await proxy.pass();
    await eventually(() => connections.ping(), 10_000);
    connections.close();
  });
});
