import { Column, Entity, PrimaryColumn } from 'typeorm';

@Entity({ schema: 'vigia', name: 'active_users' })
export class ActiveUserEntity {
  @PrimaryColumn({
    name: 'user_id',
    type: 'varchar',
    length: 256,
    primaryKeyConstraintName: 'pk_active_users',
  })
  userId: string;
  @Column({ name: 'seen_at', type: 'timestamptz', precision: 3 })
  seenAt: Date;
}

export const USERS_ENTITIES = [ActiveUserEntity] as const;
