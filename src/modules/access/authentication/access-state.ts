import { Injectable, type OnModuleInit } from '@nestjs/common';
import { EventBus, InstanceBus } from '../../../core/index.js';
import { AccessChanged } from '../access.events.js';
import { ApiKeysStore, type KeyAccess } from '../stores/api-keys.store.js';
import { SessionsStore, type OpenSession } from '../stores/sessions.store.js';
import { TokenRevocationsStore } from '../stores/token-revocations.store.js';
import { UsersStore, type UserAccess } from '../stores/users.store.js';
import { StateCache } from './state-cache.js';

/** Topics of the instance bus: the row of this id was changed. */
export const BUS = { session: 'session', user: 'user', apiKey: 'api-key' } as const;

/**
 * A revocation holds within a second everywhere. The bus brings it in milliseconds; should a message
 * be lost, its poll of the versions, once a second, finds out. So what is cached may be used only if
 * that poll succeeded within the last second, and otherwise PostgreSQL is asked (0.3 ms). With the
 * normal interval of one second that happens in the few milliseconds between being due and done.
 */
const TRUSTED_FOR_MS = 1_000;

/** What requests need to know of sessions, users and keys, at most a second old. */
@Injectable()
export class AccessState implements OnModuleInit {
  readonly sessions: StateCache<OpenSession>;
  readonly users: StateCache<UserAccess>;
  readonly apiKeys: StateCache<KeyAccess>;
  /** External tokens that are not revoked, by revocation key. */
  readonly unrevoked: StateCache<object>;

  constructor(
    private readonly bus: InstanceBus,
    private readonly events: EventBus,
    sessions: SessionsStore,
    users: UsersStore,
    apiKeys: ApiKeysStore,
    revocations: TokenRevocationsStore,
  ) {
    const isTrusted = (): boolean => bus.isFresh(TRUSTED_FOR_MS);
    this.sessions = new StateCache((id) => sessions.loadOpen(id), isTrusted);
    this.users = new StateCache((id) => users.loadAccess(id), isTrusted);
    this.apiKeys = new StateCache((id) => apiKeys.loadAccess(id), isTrusted);
    this.unrevoked = new StateCache(async (key) => ((await revocations.has(key)) ? null : {}), isTrusted);
  }

  onModuleInit(): void {
    this.bus.on(BUS.session, (id) => this.sessionChanged(id));
    this.bus.on(BUS.user, (id) => this.userChanged(id));
    this.bus.on(BUS.apiKey, (id) => this.apiKeyChanged(id));
  }

  private sessionChanged(id: string | null): void {
    this.sessions.invalidate(id);
    this.unrevoked.invalidate(id);
    this.events.publish(new AccessChanged('session', id));
  }

  /** All of a user's sessions may have ended with the change. */
  private userChanged(id: string | null): void {
    this.users.invalidate(id);
    if (id === null) this.sessions.invalidate(null);
    else this.sessions.invalidateWhere((session) => session.userId === id);
    this.events.publish(new AccessChanged('user', id));
  }

  private apiKeyChanged(id: string | null): void {
    this.apiKeys.invalidate(id);
    this.events.publish(new AccessChanged('apiKey', id));
  }
}
