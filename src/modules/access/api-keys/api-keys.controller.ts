import { Body, Delete, Get, Param, Post, Query } from '@nestjs/common';
import {
  Answers,
  Fails,
  Audited,
  CurrentPrincipal,
  RestController,
  Roles,
  type Page,
  type Principal,
} from '../../../core/index.js';
import { idParams, listQuery, type IdParams, type ListQuery } from '../users/users.dto.js';
import {
  apiKeyPage,
  createApiKeyBody,
  newApiKeyAnswer,
  toApiKeyAnswer,
  type ApiKeyAnswer,
  type CreateApiKeyBody,
  type NewApiKeyAnswer,
} from './api-keys.dto.js';
import { ApiKeysService } from './api-keys.service.js';

@Roles('admin')
@RestController('api-keys')
export class ApiKeysController {
  constructor(private readonly keys: ApiKeysService) {}

  @Get()
  @Answers(200, 'All API keys, in the order of their making, without their secrets', apiKeyPage)
  async list(@Query({ schema: listQuery }) { limit, cursor }: ListQuery): Promise<Page<ApiKeyAnswer>> {
    const { items, nextCursor } = await this.keys.list(limit, cursor);
    return { items: items.map(toApiKeyAnswer), nextCursor };
  }

  @Post()
  @Audited('apiKey.create')
  @Answers(201, 'Makes an API key; its text is in this answer and nowhere else', newApiKeyAnswer)
  @Fails(409, 'API_KEY_LIMIT: there are 1,000 already')
  async create(
    @Body({ schema: createApiKeyBody }) body: CreateApiKeyBody,
    @CurrentPrincipal() caller: Principal,
  ): Promise<NewApiKeyAnswer> {
    const { apiKey, text } = await this.keys.create(body, caller);
    return { ...toApiKeyAnswer(apiKey), key: text };
  }

  @Delete(':id')
  @Audited('apiKey.delete', { target: 'id' })
  @Answers(204, 'Deletes an API key; it stops working within a second')
  remove(@Param({ schema: idParams }) { id }: IdParams): Promise<void> {
    return this.keys.remove(id);
  }
}
