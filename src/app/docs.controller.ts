import { Controller, Get, Inject, type Type } from '@nestjs/common';
import { ApiExcludeController } from '@nestjs/swagger';
import { Public, Roles } from '../core/index.js';

/** Holds what is only known once every route is mounted. */
export class ApiDocuments {
  openApi: object = {};
}

/** The machine-readable documents: open to all in development, to viewers in production. */
export function docsController(production: boolean): Type<object> {
  @ApiExcludeController()
  @(production ? Roles('viewer') : Public())
  @Controller('api')
  class DocsController {
    constructor(@Inject(ApiDocuments) private readonly documents: ApiDocuments) {}

    @Get('docs-json')
    openApi(): object {
      return this.documents.openApi;
    }
  }
  return DocsController;
}
