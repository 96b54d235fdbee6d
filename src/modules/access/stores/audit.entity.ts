import { Check, Column, Entity, Index, PrimaryColumn } from 'typeorm';

@Entity({ schema: 'vigia', name: 'audit_log' })
@Index('ix_audit_log_at', ['at', 'id'])
@Index('ix_audit_log_actor', ['actor', 'at'])
@Index('ix_audit_log_kind', ['kind', 'at', 'id'])
@Index('ix_audit_log_action', ['action', 'at', 'id'])
@Index('ix_audit_log_target', ['target', 'at'])
@Check('ck_audit_log_kind', `kind IN ('admin', 'personalData', 'function', 'security')`)
@Check('ck_audit_log_result', `result IN ('ok', 'refused', 'failed')`)
export class AuditEntity {
  @PrimaryColumn('uuid', { primaryKeyConstraintName: 'pk_audit_log' })
  id: string;

  @Column({ type: 'timestamptz', precision: 3 })
  at: Date;

  @Column('varchar', { length: 128, nullable: true })
  actor: string | null;

  @Column('varchar', { length: 128 })
  action: string;

  @Column('varchar', { length: 16 })
  kind: string;

  @Column('varchar', { length: 256, nullable: true })
  target: string | null;

  @Column('varchar', { length: 64, nullable: true })
  ip: string | null;

  @Column('varchar', { name: 'request_id', length: 128, nullable: true })
  requestId: string | null;

  @Column('varchar', { length: 8 })
  result: string;

  @Column('varchar', { length: 64, nullable: true })
  code: string | null;
}
