import { Injectable } from '@nestjs/common';
import { UnauthenticatedError } from '../../../core/index.js';
import { UsersStore } from '../stores/users.store.js';
import type { ExternalProfile } from '../users/user.types.js';
import { BoundedMap } from './bounded-map.js';
import { MAX_CACHED } from './state-cache.js';

/** Which user an external issuer's subject is here. */
@Injectable()
export class ExternalUsers {
  /** Never changes once made: a deleted user keeps its row, so that an old token does not make a new one. */
  private readonly ids = new BoundedMap<string, string>(MAX_CACHED);

  constructor(private readonly users: UsersStore) {}

  /** Makes the user at first sight, with the role that the issuer names or `user`. */
  async idOf(profile: ExternalProfile): Promise<string> {
    const key = `${profile.issuer}\n${profile.subject}`;
    const known = this.ids.get(key);
    if (known) return known;
    const { issuer, subject } = profile;
    const id =
      (await this.users.findExternal(issuer, subject)) ?? (await this.users.findOrInsertExternal(profile));
    if (!id) throw new UnauthenticatedError('the user is not active');
    this.ids.set(key, id);
    return id;
  }
}
