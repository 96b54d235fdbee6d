import { Check, Column, Entity, PrimaryColumn } from 'typeorm';

@Entity({ schema: 'vigia', name: 'api_keys' })
@Check('ck_api_keys_role', `role IN ('user', 'viewer', 'operator', 'admin')`)
@Check('ck_api_keys_tier', `tier IN ('free', 'pro', 'enterprise')`)
export class ApiKeyEntity {
  @PrimaryColumn('uuid', { primaryKeyConstraintName: 'pk_api_keys' })
  id: string;

  @Column('varchar', { length: 200 })
  name: string;

  @Column('varchar', { length: 16 })
  role: string;

  @Column('varchar', { length: 16 })
  tier: string;

  @Column('bytea', { name: 'secret_hash' })
  secretHash: Buffer;

  @Column('varchar', { name: 'created_by', length: 128 })
  createdBy: string;

  @Column({ type: 'timestamptz', name: 'created_at', precision: 3, default: () => 'clock_timestamp()' })
  createdAt: Date;

  @Column({ type: 'timestamptz', name: 'expires_at', precision: 3, nullable: true })
  expiresAt: Date | null;

  @Column({ type: 'timestamptz', name: 'last_used_at', precision: 3, nullable: true })
  lastUsedAt: Date | null;

  @Column({ type: 'timestamptz', name: 'deleted_at', precision: 3, nullable: true })
  deletedAt: Date | null;
}
