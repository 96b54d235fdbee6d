import { Check, Column, Entity, Index, PrimaryColumn, Unique } from 'typeorm';

@Entity({ schema: 'vigia', name: 'users' })
@Unique('uq_users_issuer_subject', ['issuer', 'subject'])
@Index('uq_users_email', ['email'], { unique: true, where: 'issuer IS NULL AND deleted_at IS NULL' })
@Check('ck_users_role', `role IN ('user', 'viewer', 'operator', 'admin')`)
@Check('ck_users_tier', `tier IN ('free', 'pro', 'enterprise')`)
@Check('ck_users_email', 'email = lower(email)')
@Check('ck_users_origin', '(issuer IS NULL) = (subject IS NULL)')
@Check(
  'ck_users_local',
  'issuer IS NOT NULL OR deleted_at IS NOT NULL OR (email IS NOT NULL AND password_hash IS NOT NULL)',
)
export class UserEntity {
  @PrimaryColumn('uuid', { primaryKeyConstraintName: 'pk_users' })
  id: string;

  @Column('varchar', { length: 254, nullable: true })
  email: string | null;

  @Column('varchar', { length: 200 })
  name: string;

  @Column('varchar', { length: 16 })
  role: string;

  @Column('varchar', { length: 16 })
  tier: string;

  @Column('boolean', { default: true })
  active: boolean;

  @Column('varchar', { name: 'password_hash', length: 256, nullable: true })
  passwordHash: string | null;

  @Column('varchar', { length: 512, nullable: true })
  issuer: string | null;

  @Column('varchar', { length: 255, nullable: true })
  subject: string | null;

  @Column('varchar', { length: 35, nullable: true })
  locale: string | null;

  @Column('varchar', { length: 64, nullable: true })
  timezone: string | null;

  @Column({ type: 'timestamptz', name: 'tokens_valid_after', precision: 3, nullable: true })
  tokensValidAfter: Date | null;

  @Column({ type: 'timestamptz', name: 'created_at', precision: 3, default: () => 'clock_timestamp()' })
  createdAt: Date;

  @Column({ type: 'timestamptz', name: 'last_seen_at', precision: 3, nullable: true })
  lastSeenAt: Date | null;

  @Column({ type: 'timestamptz', name: 'deleted_at', precision: 3, nullable: true })
  deletedAt: Date | null;
}
