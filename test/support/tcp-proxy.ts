import { createServer, connect, type Server, type Socket } from 'node:net';
import type { AddressInfo } from 'node:net';

type Mode = 'pass' | 'blackHole' | 'refuse';

/** Stands before a server and cuts its connections in the ways that networks do. */
export class TcpProxy {
  private readonly pairs = new Set<{ client: Socket; upstream: Socket }>();
  private mode: Mode = 'pass';
  private server: Server;
  port = 0;

  private constructor(private readonly target: { host: string; port: number }) {
    this.server = this.makeServer();
  }

  static async start(target: { host: string; port: number }): Promise<TcpProxy> {
    const proxy = new TcpProxy(target);
    await proxy.listen();
    return proxy;
  }

  /** Forwards; what was held back in a black hole flows again. */
  async pass(): Promise<void> {
    const was = this.mode;
    this.mode = 'pass';
    if (was === 'refuse') {
      this.server = this.makeServer();
      await this.listen();
    }
    for (const { client, upstream } of this.pairs) {
      client.resume();
      upstream.resume();
    }
  }

  /** Accepts and keeps connections, but moves no byte: a lost route. */
  async blackHole(): Promise<void> {
    if (this.mode === 'refuse') await this.pass();
    this.mode = 'blackHole';
    for (const { client, upstream } of this.pairs) {
      client.pause();
      upstream.pause();
    }
  }

  /** Ends every connection and refuses new ones: a stopped server. */
  async refuse(): Promise<void> {
    if (this.mode === 'refuse') return;
    this.mode = 'refuse';
    this.cut();
    await new Promise<void>((resolve) => this.server.close(() => resolve()));
  }

  /** Resets every connection once, and goes on in the same mode: a fail-over. */
  cut(): void {
    for (const { client, upstream } of this.pairs) {
      client.resetAndDestroy();
      upstream.destroy();
    }
    this.pairs.clear();
  }

  async stop(): Promise<void> {
    await this.refuse();
  }

  private makeServer(): Server {
    return createServer((client) => {
      const upstream = connect(this.target);
      const pair = { client, upstream };
      this.pairs.add(pair);
      const end = () => {
        client.destroy();
        upstream.destroy();
        this.pairs.delete(pair);
      };
      for (const [from, to] of [
        [client, upstream],
        [upstream, client],
      ] as const) {
        from.on('data', (bytes) => to.write(bytes));
        from.on('error', end);
        from.on('close', end);
      }
      if (this.mode === 'blackHole') {
        client.pause();
        upstream.pause();
      }
    });
  }

  private listen(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.server.once('error', reject);
      this.server.listen(this.port, '127.0.0.1', () => {
        this.port = (this.server.address() as AddressInfo).port;
        resolve();
      });
    });
  }
}
