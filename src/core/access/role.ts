/** From least to most: each role may do all that the ones before it may. */
export const ROLES = ['user', 'viewer', 'operator', 'admin'] as const;
export type Role = (typeof ROLES)[number];

export const TIERS = ['free', 'pro', 'enterprise'] as const;
export type Tier = (typeof TIERS)[number];

export function roleCovers(held: Role, needed: Role): boolean {
  return ROLES.indexOf(held) >= ROLES.indexOf(needed);
}
