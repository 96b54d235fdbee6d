import {
  Body,
  Get,
  Module,
  Param,
  Post,
  RequestMethod,
  Req,
  Res,
  Sse,
  type DynamicModule,
} from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { AddressInfo } from 'node:net';
import { NEVER, type Observable } from 'rxjs';
import {
  Authenticator,
  CoreModule,
  ForbiddenError,
  Public,
  RestController,
  ROLES,
  Roles,
  sendProblem,
  UnauthenticatedError,
  type Credentials,
  type Principal,
  type Role,
} from '../../src/core/index.js';
import { MonitoringConfig } from '../../src/modules/monitoring/metrics/config/monitoring-config.js';
import { MetricsSink } from '../../src/modules/monitoring/metrics/metrics-sink.port.js';
import {
  METRICS_RECORDING_CONTROLLERS,
  METRICS_RECORDING_PROVIDERS,
} from '../../src/modules/monitoring/metrics/metrics.providers.js';
import type {
  RouteMinute,
  Snapshot,
  TickRecord,
} from '../../src/modules/monitoring/metrics/metrics.types.js';
import { MonitoringOptions } from '../../src/modules/monitoring/monitoring.options.js';

/** Keeps what it is given; can be cut off. */
export class MemorySink extends MetricsSink {
  readonly ticks: TickRecord[] = [];
  readonly minutes: RouteMinute[] = [];
  readonly snapshots = new Map<string, Snapshot>();

  async store(record: TickRecord): Promise<void> {
    this.ticks.push(record);
  }

  async storeRouteMinutes(_: string, __: number, rows: readonly RouteMinute[]): Promise<void> {
    this.minutes.push(...rows);
  }

  async latest(instance: string): Promise<Snapshot | null> {
    return this.snapshots.get(instance) ?? null;
  }
}

/** The bearer text is the role; the user's id is the text behind a colon. */
class RoleNameAuthenticator extends Authenticator {
  async authenticate({ bearer }: Credentials): Promise<Principal> {
    const [role, id = 'someone'] = bearer?.split(':') ?? [];
    if (!ROLES.includes(role as Role)) throw new UnauthenticatedError();
    return { kind: 'user', id, role: role as Role, tier: 'free', sessionId: null, expiresAtMs: Infinity };
  }
}

/** Routes that end in every way a request can end. */
@RestController('demo')
class DemoController {
  /** Requests that wait for `release`. */
  static readonly waiting = new Set<() => void>();

  @Get('items/:id')
  @Public()
  item(@Param('id') id: string): object {
    if (id === 'bad') throw new ForbiddenError();
    if (id === 'broken') throw new Error('defect');
    return { id };
  }

  @Get('private')
  @Roles('user')
  private(): object {
    return {};
  }

  @Post('slow')
  @Public()
  async slow(@Body() _: unknown): Promise<object> {
    await new Promise<void>((resolve) => DemoController.waiting.add(resolve));
    return {};
  }

  @Get('stream')
  @Public()
  stream(@Res() reply: FastifyReply, @Req() _: FastifyRequest): void {
    reply.hijack();
    reply.raw.writeHead(200, { 'content-type': 'application/octet-stream' });
    reply.raw.write('first');
  }

  @Sse('events')
  @Public()
  events(): Observable<never> {
    return NEVER;
  }
}

@Module({})
class RecordingModule {
  static with(options: MonitoringOptions, sink: MetricsSink): DynamicModule {
    const config = { current: () => ({ collectIntervalMs: 1_000 }), onChange: () => () => undefined };
    return {
      module: RecordingModule,
      controllers: [...METRICS_RECORDING_CONTROLLERS, DemoController],
      providers: [
        ...METRICS_RECORDING_PROVIDERS,
        { provide: MonitoringOptions, useValue: options },
        { provide: MetricsSink, useValue: sink },
        { provide: MonitoringConfig, useValue: config },
        { provide: Authenticator, useClass: RoleNameAuthenticator },
      ],
    };
  }
}

export interface RecordingApp {
  readonly app: NestFastifyApplication;
  readonly sink: MemorySink;
  readonly url: string;
  readonly port: number;
  get(path: string, bearer?: string): Promise<{ status: number; text: string; headers: Headers }>;
  /** Lets every request of `POST demo/slow` end. */
  release(): void;
  waiting(): number;
  close(): Promise<void>;
}

/** The recording half of monitoring over a real HTTP server, without a database. */
export async function buildRecordingApp(options: MonitoringOptions = {}): Promise<RecordingApp> {
  const sink = new MemorySink();
  const imports = [CoreModule.forRoot({ instanceId: 'here' }), RecordingModule.with(options, sink)];
  class App {}
  Module({ imports })(App);
  const adapter = new FastifyAdapter({
    frameworkErrors: sendProblem,
    forceCloseConnections: true,
    trustProxy: true,
  });
  const app = await NestFactory.create<NestFastifyApplication>(App, adapter, { logger: false });
  app.setGlobalPrefix('api/v1', { exclude: [{ path: 'metrics', method: RequestMethod.ALL }] });
  await app.listen(0, '127.0.0.1');
  const { port } = app.getHttpServer().address() as AddressInfo;
  const url = `http://127.0.0.1:${port}`;
  DemoController.waiting.clear();
  return {
    ...{ app, sink, url, port },
    get: async (path, bearer) => {
      const answer = await fetch(url + path, {
        headers: bearer ? { authorization: `Bearer ${bearer}` } : {},
      });
      return { status: answer.status, text: await answer.text(), headers: answer.headers };
    },
    release: () => DemoController.waiting.forEach((resolve) => resolve()),
    waiting: () => DemoController.waiting.size,
    close: () => app.close(),
  };
}
