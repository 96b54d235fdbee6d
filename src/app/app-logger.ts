import { Injectable } from '@nestjs/common';
import { Logger } from 'nestjs-pino';

/** Nest names each module and route at every start; of use when debugging only. */
const WIRING_CONTEXTS: ReadonlySet<unknown> = new Set([
  'InstanceLoader',
  'RoutesResolver',
  'RouterExplorer',
  'NestFactory',
  'NestApplication',
]);

/** Nest's logger on pino, with the list of modules and routes moved to debug level. */
@Injectable()
export class AppLogger extends Logger {
  override log(message: unknown, ...optionalParams: unknown[]): void {
    if (WIRING_CONTEXTS.has(optionalParams.at(-1))) this.debug(message, ...optionalParams);
    else super.log(message, ...(optionalParams as []));
  }
}
