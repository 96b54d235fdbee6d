import { z } from 'zod';
import {
  inOrder,
  isoText,
  pageOf,
  pageQuery,
  plainText,
  RANGE_FAULT,
  rangeQuery,
  uuid,
} from '../../../core/index.js';
import type { AuditRow } from '../stores/audit.store.js';

const kind = z.enum(['admin', 'personalData', 'function', 'security']);

export const auditQuery = z
  .strictObject({
    ...pageQuery,
    ...rangeQuery,
    actor: plainText(128).optional(),
    action: plainText(128).optional(),
    target: plainText(256).optional(),
    kind: kind.optional(),
  })
  .refine(inOrder, RANGE_FAULT);
export type AuditQuery = z.infer<typeof auditQuery>;

export const auditAnswer = z.object({
  id: uuid,
  at: isoText,
  actor: z
    .string()
    .nullable()
    .meta({ description: '`user:<id>`, `key:<id>` or `database:<role>`; null for an unknown caller' }),
  action: z.string(),
  kind,
  target: z.string().nullable(),
  ip: z.string().nullable(),
  requestId: z.string().nullable(),
  result: z.enum(['ok', 'refused', 'failed']),
  code: z.string().nullable().meta({ description: 'The error code of what was refused or failed' }),
});
export type AuditAnswer = z.infer<typeof auditAnswer>;
export const auditPage = pageOf(auditAnswer);

export function toAuditAnswer(row: AuditRow): AuditAnswer {
  return {
    id: row.id,
    at: row.at.toISOString(),
    actor: row.actor,
    action: row.action,
    kind: row.kind,
    target: row.target,
    ip: row.ip,
    requestId: row.request_id,
    result: row.result,
    code: row.code,
  };
}
