import { z } from 'zod';
import { instant, isoText, pageOf, plainText, uuid } from '../../../core/index.js';
import { role, tier } from '../users/users.dto.js';
import type { ApiKey } from './api-key.types.js';

export const createApiKeyBody = z.strictObject({
  name: plainText(200),
  role,
  tier,
  expiresAt: instant.optional(),
});
export type CreateApiKeyBody = z.infer<typeof createApiKeyBody>;

export const apiKeyAnswer = z.object({
  id: uuid,
  name: z.string(),
  role,
  tier,
  createdBy: z.string(),
  createdAt: isoText,
  expiresAt: isoText.nullable(),
  lastUsedAt: isoText.nullable(),
});
export type ApiKeyAnswer = z.infer<typeof apiKeyAnswer>;
export const apiKeyPage = pageOf(apiKeyAnswer);

export const newApiKeyAnswer = apiKeyAnswer.extend({
  key: z.string().meta({ description: 'Shown in this answer and never again' }),
});
export type NewApiKeyAnswer = z.infer<typeof newApiKeyAnswer>;

export function toApiKeyAnswer(key: ApiKey): ApiKeyAnswer {
  return {
    id: key.id,
    name: key.name,
    role: key.role,
    tier: key.tier,
    createdBy: key.createdBy,
    createdAt: key.createdAt.toISOString(),
    expiresAt: key.expiresAt?.toISOString() ?? null,
    lastUsedAt: key.lastUsedAt?.toISOString() ?? null,
  };
}
