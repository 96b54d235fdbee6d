import { ForbiddenError } from '../errors/errors.js';
import type { Principal } from './principal.js';
import { roleCovers, type Role } from './role.js';

/** Who may call a route. */
export type AccessPolicy =
  | { readonly kind: 'public' }
  | {
      readonly kind: 'role';
      /** The least role that may call. `user` means a person, so it refuses API keys. */
      readonly role: Role;
      /** Any API key may call as well, whatever its role. */
      readonly orAnyKey: boolean;
    };

/** @throws ForbiddenError when the policy does not let this principal pass */
export function authorize(policy: AccessPolicy, principal: Principal): void {
  if (policy.kind === 'public') return;
  if (principal.kind === 'apiKey') {
    if (policy.orAnyKey) return;
    if (policy.role === 'user') throw new ForbiddenError('an API key is not a person; sign in as a user');
  }
  if (!roleCovers(principal.role, policy.role)) {
    throw new ForbiddenError(`this needs the role ${policy.role}; you have ${principal.role}`);
  }
}
