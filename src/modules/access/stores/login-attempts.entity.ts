import { Column, Entity, PrimaryColumn } from 'typeorm';

@Entity({ schema: 'vigia', name: 'login_attempts' })
export class LoginAttemptsEntity {
  @PrimaryColumn('varchar', { length: 80, primaryKeyConstraintName: 'pk_login_attempts' })
  key: string;

  @Column('bigint', { name: 'failed_at', array: true, default: '{}' })
  failedAt: string[];

  @Column('bigint', { name: 'pending_at', array: true, default: '{}' })
  pendingAt: string[];

  @Column({ type: 'timestamptz', name: 'updated_at', precision: 3, default: () => 'clock_timestamp()' })
  updatedAt: Date;
}
