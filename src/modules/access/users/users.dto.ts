import { z } from 'zod';
import { isoText, pageOf, pageQuery, plainText, ROLES, TIERS, uuid } from '../../../core/index.js';
import { newPassword } from '../passwords/password-policy.js';
import { emailAddress } from './email-address.js';
import type { User } from './user.types.js';

export const role = z.enum(ROLES);
export const tier = z.enum(TIERS);
export const personName = plainText(200);

export const idParams = z.strictObject({ id: uuid });
export type IdParams = z.infer<typeof idParams>;

export const listQuery = z.strictObject(pageQuery);
export type ListQuery = z.infer<typeof listQuery>;

export const createUserBody = z.strictObject({
  email: emailAddress,
  name: personName,
  role,
  tier: tier.default('free'),
  password: newPassword,
});
export type CreateUserBody = z.infer<typeof createUserBody>;

export const updateUserBody = z.strictObject({
  email: emailAddress.optional(),
  name: personName.optional(),
  role: role.optional(),
  tier: tier.optional(),
  active: z.boolean().optional(),
  password: newPassword.optional(),
});
export type UpdateUserBody = z.infer<typeof updateUserBody>;

export const userAnswer = z.object({
  id: uuid,
  email: z.string().nullable(),
  name: z.string(),
  role,
  tier,
  active: z.boolean(),
  createdAt: isoText,
  lastSeenAt: isoText.nullable(),
});
export type UserAnswer = z.infer<typeof userAnswer>;
export const userPage = pageOf(userAnswer);

export function toUserAnswer(user: User): UserAnswer {
  return {
    id: user.id,
    email: user.email,
    name: user.name,
    role: user.role,
    tier: user.tier,
    active: user.active,
    createdAt: user.createdAt.toISOString(),
    lastSeenAt: user.lastSeenAt?.toISOString() ?? null,
  };
}
