import { Column, Entity, Index, JoinColumn, ManyToOne, PrimaryColumn, type Relation } from 'typeorm';
import { UserEntity } from './users.entity.js';

@Entity({ schema: 'vigia', name: 'sessions' })
@Index('ix_sessions_user', ['userId'])
@Index('ix_sessions_expires', ['expiresAt'])
@Index('ix_sessions_ended', ['endedAt'], { where: 'ended_at IS NOT NULL' })
export class SessionEntity {
  @PrimaryColumn('uuid', { primaryKeyConstraintName: 'pk_sessions' })
  id: string;

  @Column('uuid', { name: 'user_id' })
  userId: string;

  @ManyToOne(() => UserEntity, { onDelete: 'CASCADE' })
  @JoinColumn({ name: 'user_id', foreignKeyConstraintName: 'fk_sessions_user' })
  user: Relation<UserEntity>;

  @Column({ type: 'timestamptz', name: 'created_at', precision: 3, default: () => 'clock_timestamp()' })
  createdAt: Date;

  @Column({ type: 'timestamptz', name: 'expires_at', precision: 3 })
  expiresAt: Date;

  @Column({ type: 'timestamptz', name: 'idle_expires_at', precision: 3 })
  idleExpiresAt: Date;

  @Column('integer', { name: 'refresh_generation', default: 1 })
  refreshGeneration: number;

  @Column({ type: 'timestamptz', name: 'ended_at', precision: 3, nullable: true })
  endedAt: Date | null;

  @Column('varchar', { name: 'end_reason', length: 32, nullable: true })
  endReason: string | null;
}

@Entity({ schema: 'vigia', name: 'token_revocations' })
export class TokenRevocationEntity {
  @PrimaryColumn('varchar', { length: 64, primaryKeyConstraintName: 'pk_token_revocations' })
  key: string;

  @Column({ type: 'timestamptz', name: 'expires_at', precision: 3 })
  expiresAt: Date;
}
