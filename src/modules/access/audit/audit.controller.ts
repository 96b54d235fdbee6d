import { Get, Query } from '@nestjs/common';
import { Answers, Audited, RestController, Roles, toPage, type Page } from '../../../core/index.js';
import { instantCursor } from '../list-cursor.js';
import { AuditStore } from '../stores/audit.store.js';
import { auditPage, auditQuery, toAuditAnswer, type AuditAnswer, type AuditQuery } from './audit.dto.js';

@Roles('admin')
@RestController('audit')
export class AuditController {
  constructor(private readonly audit: AuditStore) {}

  @Get()
  @Audited('audit.read', { kind: 'personalData' })
  @Answers(200, 'Who did what, to what, when, from where, with what result; newest first', auditPage)
  async list(
    @Query({ schema: auditQuery }) { limit, cursor, ...filter }: AuditQuery,
  ): Promise<Page<AuditAnswer>> {
    const rows = await this.audit.list(filter, limit, instantCursor(cursor));
    return toPage(rows, limit, ({ at, id }) => [at.toISOString(), id], toAuditAnswer);
  }
}
