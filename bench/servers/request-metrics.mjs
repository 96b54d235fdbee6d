// One contestant of request-metrics.mjs: the same trivial route, with another way of measuring it.
// Answers its parent's `usage` with the CPU time it has used so far, in microseconds.
import 'reflect-metadata';
import { Controller, Get, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { Histogram, Registry } from 'prom-client';
import { tap } from 'rxjs';

const contestant = process.argv[2];

class HelloController {
  hello() {
    return { hello: 'world' };
  }
}
Get('hello/:name')(
  HelloController.prototype,
  'hello',
  Object.getOwnPropertyDescriptor(HelloController.prototype, 'hello'),
);
Controller()(HelloController);

class AppModule {}
Module({ controllers: [HelloController] })(AppModule);

// All contestants load what an application of ours has loaded anyway: memory is no part of the question.
const base = '../../.cache/bench/src';
const { RequestRecorder } = await import(`${base}/modules/monitoring/metrics/requests/request-recorder.js`);
const { RequestHooks } = await import(`${base}/modules/monitoring/metrics/requests/request-hooks.js`);
const { toRouteMinutes } = await import(`${base}/modules/monitoring/metrics/requests/route-minutes.js`);
const { SystemClock } = await import(`${base}/core/clock/clock.js`);

/** Our own: hooks, recorder, and the drain that a server does once a minute, here once a second. */
function installVigia(app) {
  const clock = new SystemClock();
  const recorder = new RequestRecorder(clock);
  new RequestHooks(recorder, clock).install(app.getHttpAdapter().getInstance());
  setInterval(() => void toRouteMinutes(recorder.drain()), 1_000).unref();
}

/** The usual way: a Nest interceptor that observes a prom-client histogram. */
function installPromClient(app) {
  const registry = new Registry();
  const labelNames = ['method', 'route', 'status'];
  const histogram = new Histogram({
    name: 'http_request_duration_seconds',
    help: 'x',
    labelNames,
    registers: [registry],
  });
  app.useGlobalInterceptors({
    intercept(context, next) {
      const end = histogram.startTimer();
      const http = context.switchToHttp();
      const request = http.getRequest();
      const note = () =>
        end({
          method: request.method,
          route: request.routeOptions.url,
          status: http.getResponse().statusCode,
        });
      return next.handle().pipe(tap({ next: note, error: note }));
    },
  });
}

const app = await NestFactory.create(AppModule, new FastifyAdapter(), { logger: false });
if (contestant === 'vigia') installVigia(app);
if (contestant === 'prom-client') installPromClient(app);
await app.listen(0, '127.0.0.1');

process.on('message', (message) => {
  if (message !== 'usage') return;
  const { user, system } = process.cpuUsage();
  process.send({ micros: user + system });
});
process.on('disconnect', () => process.exit(0));
process.send({ port: app.getHttpServer().address().port });
