import { Injectable, RequestMethod } from '@nestjs/common';
import { ApplicationConfig, DiscoveryService, MetadataScanner } from '@nestjs/core';
import type { IndexAnswer } from './health/health.dto.js';

type Route = IndexAnswer['items'][number];
type Controller = new (...args: never[]) => object;

// Metadata keys of Nest and of its OpenAPI package.
const PATH = 'path';
const METHOD = 'method';
const OPERATION = 'swagger/apiOperation';

const SECTION = 'monitoring';

/** Lists the routes of this section from the controllers that are really mounted, so that it cannot drift. */
@Injectable()
export class RouteIndex {
  private routes: readonly Route[] | undefined;

  constructor(
    private readonly discovery: DiscoveryService,
    private readonly scanner: MetadataScanner,
    private readonly application: ApplicationConfig,
  ) {}

  read(): IndexAnswer {
    this.routes ??= this.scan();
    return { items: [...this.routes] };
  }

  private scan(): Route[] {
    const prefix = this.application.getGlobalPrefix();
    const routes = this.discovery
      .getControllers()
      .flatMap(({ metatype }) => this.routesOf(metatype as Controller | null, prefix));
    return routes.sort((a, b) =>
      a.path === b.path ? (a.method < b.method ? -1 : 1) : a.path < b.path ? -1 : 1,
    );
  }

  private routesOf(controller: Controller | null, prefix: string): Route[] {
    const base = controller ? stripped(String(Reflect.getMetadata(PATH, controller) ?? '')) : '';
    if (!controller || base.split('/')[0] !== SECTION) return [];
    const prototype = controller.prototype as Record<string, object>;
    return this.scanner.getAllMethodNames(prototype).flatMap((name) => {
      const handler = prototype[name] ?? {};
      const path = Reflect.getMetadata(PATH, handler) as string | undefined;
      if (path === undefined) return [];
      const operation = Reflect.getMetadata(OPERATION, handler) as { summary?: string } | undefined;
      const whole = [prefix, base, path].map(stripped).filter(Boolean).join('/');
      const method = RequestMethod[Reflect.getMetadata(METHOD, handler) as number] ?? 'GET';
      return [
        { method, path: `/${whole.replace(/:(\w+)/g, '{$1}')}`, description: operation?.summary ?? '' },
      ];
    });
  }
}

function stripped(path: string): string {
  return path.replace(/^\/+|\/+$/g, '');
}
