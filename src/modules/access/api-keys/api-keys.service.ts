import { Injectable } from '@nestjs/common';
import {
  Clock,
  ConflictError,
  Database,
  InstanceBus,
  NotFoundError,
  principalName,
  toPage,
  ValidationFailedError,
  type Page,
  type Principal,
  type Queryable,
  type Role,
  type Tier,
} from '../../../core/index.js';
import { BUS } from '../authentication/access-state.js';
import { idCursor } from '../list-cursor.js';
import { ApiKeysStore } from '../stores/api-keys.store.js';
import type { ApiKey, NewApiKey } from './api-key.types.js';
import { keyText, newKeySecret } from './key-text.js';

/** More keys than any installation needs; few enough to list, and to look through after an incident. */
export const MAX_API_KEYS = 1_000;

export interface CreateApiKey {
  readonly name: string;
  readonly role: Role;
  readonly tier: Tier;
  readonly expiresAt?: Date | undefined;
}

/** Keys for other programs. */
@Injectable()
export class ApiKeysService {
  constructor(
    private readonly database: Database,
    private readonly keys: ApiKeysStore,
    private readonly bus: InstanceBus,
    private readonly clock: Clock,
  ) {}

  /** @returns the key's text, which is kept nowhere @throws ValidationFailedError ConflictError */
  async create(
    { name, role, tier, expiresAt }: CreateApiKey,
    by: Principal,
  ): Promise<{ apiKey: ApiKey; text: string }> {
    if (expiresAt && expiresAt.getTime() <= this.clock.now()) {
      throw new ValidationFailedError([{ path: 'expiresAt', message: 'must be in the future' }]);
    }
    const { secret, secretHash } = newKeySecret();
    const key = { name, role, tier, secretHash, createdBy: principalName(by), expiresAt: expiresAt ?? null };
    const apiKey = await this.database.transaction((tx) => this.insertWithinBound(tx, key));
    return { apiKey, text: keyText(apiKey.id, secret) };
  }

  async list(limit: number, cursor?: string): Promise<Page<ApiKey>> {
    const rows = await this.keys.list(limit, idCursor(cursor));
    return toPage(
      rows,
      limit,
      ({ id }) => [id],
      (key) => key,
    );
  }

  private async insertWithinBound(tx: Queryable, key: NewApiKey): Promise<ApiKey> {
    if ((await this.keys.lockAndCount(tx)) < MAX_API_KEYS) return this.keys.insert(tx, key);
    throw new ConflictError(`there are ${MAX_API_KEYS} API keys already; delete one first`, 'API_KEY_LIMIT');
  }

  /** @throws NotFoundError */
  async remove(id: string): Promise<void> {
    await this.database.transaction(async (tx) => {
      const deleted = await this.keys.markDeleted(tx, id);
      if (deleted === null) throw new NotFoundError('the API key');
      await this.bus.publish(tx, BUS.apiKey, deleted);
    });
  }
}
