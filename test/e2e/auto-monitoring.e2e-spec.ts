import { Injectable, Module, type OnModuleInit } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { CoreModule } from '../../src/core/index.js';
import { MonitoringModule, MonitoringService, type Snapshot } from '../../src/modules/monitoring/index.js';
import { MonitoringConfig } from '../../src/modules/monitoring/metrics/config/monitoring-config.js';
import { Collector } from '../../src/modules/monitoring/metrics/collector.js';
import { HealthInterval } from '../../src/modules/monitoring/health/health-interval.js';
import { openTestDatabase } from '../support/test-database.js';

let atStart: Snapshot | undefined;

/** Somebody else's service, which asks as early as Nest lets it. */
@Injectable()
class LibraryUser implements OnModuleInit {
  constructor(private readonly monitoring: MonitoringService) {}

  onModuleInit(): void {
    atStart = this.monitoring.getMetrics();
  }
}

describe('monitoring as a library', () => {
  let db: Awaited<ReturnType<typeof openTestDatabase>>;
  let app: Awaited<ReturnType<typeof NestFactory.createApplicationContext>>;
  beforeAll(async () => {
    db = await openTestDatabase();
    class App {}
    Module({
      imports: [CoreModule.forRoot({ database: { url: db.url } }), MonitoringModule.forRoot()],
      providers: [LibraryUser],
    })(App);
    Reflect.defineMetadata('design:paramtypes', [MonitoringService], LibraryUser);
    app = await NestFactory.createApplicationContext(App, { logger: false, abortOnError: false });
  });
  afterAll(async () => {
    await app.close();
    await db.close();
  });

  it('has a snapshot for modules that ask in their own onModuleInit', () => {
    expect(atStart?.memory.total).toBeGreaterThan(0);
  });

  it('keeps an interval of this process over changes of the configuration, and gives it up for both at once', async () => {
    const service = app.get(MonitoringService, { strict: false });
    const config = app.get(MonitoringConfig, { strict: false });
    const health = app.get(HealthInterval, { strict: false });
    const set = jest.spyOn(app.get(Collector, { strict: false }), 'setInterval');
    const both = () => [set.mock.lastCall?.[0], health.ms];
    service.startAutoMonitoring(1_000);
    expect(both()).toEqual([1_000, 1_000]);
    await config.replace({ collectIntervalMs: 20_000, healthIntervalMs: 40_000 });
    expect(both()).toEqual([1_000, 1_000]);
    service.startAutoMonitoring();
    expect(both()).toEqual([20_000, 40_000]);
    await config.replace({ collectIntervalMs: 25_000, healthIntervalMs: 45_000 });
    expect(both()).toEqual([25_000, 45_000]);
    expect(() => service.startAutoMonitoring(999)).toThrow(RangeError);
    expect(both()).toEqual([25_000, 45_000]);
  });
});
