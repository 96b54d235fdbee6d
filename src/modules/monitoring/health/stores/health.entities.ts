import { Column, Entity, Index, PrimaryColumn, Check, Unique } from 'typeorm';

@Entity({ schema: 'vigia', name: 'component_status' })
@Index('ix_component_status_component', ['component', 'startedAt'])
@Index('ix_component_status_open', ['instance'], { where: 'ended_at IS NULL' })
@Check('ck_component_status_status', `status IN ('up', 'degraded', 'down')`)
export class ComponentStatusEntity {
  @PrimaryColumn({ type: 'uuid', primaryKeyConstraintName: 'pk_component_status' })
  id: string;
  @Column({ type: 'varchar', length: 128 })
  component: string;
  @Column({ type: 'varchar', length: 256, nullable: true })
  instance: string | null;
  @Column({ type: 'varchar', length: 16 })
  status: string;
  @Column({ name: 'started_at', type: 'timestamptz', precision: 3 })
  startedAt: Date;
  @Column({ name: 'confirmed_at', type: 'timestamptz', precision: 3 })
  confirmedAt: Date;
  @Column({ name: 'ended_at', type: 'timestamptz', precision: 3, nullable: true })
  endedAt: Date | null;
  @Column({ name: 'grace_ms', type: 'integer' })
  graceMs: number;
}

@Entity({ schema: 'vigia', name: 'outside_checks' })
@Unique('uq_outside_checks_name', ['name'])
@Check('ck_outside_checks_kind', `kind IN ('http', 'tcp', 'postgres', 'redis', 's3')`)
export class OutsideCheckEntity {
  @PrimaryColumn({ type: 'uuid', primaryKeyConstraintName: 'pk_outside_checks' })
  id: string;
  @Column({ type: 'varchar', length: 100 })
  name: string;
  @Column({ type: 'varchar', length: 16 })
  kind: string;
  @Column({ type: 'varchar', length: 2048 })
  target: string;
  @Column({ name: 'interval_ms', type: 'integer' })
  intervalMs: number;
  @Column({ name: 'timeout_ms', type: 'integer' })
  timeoutMs: number;
  @Column({ name: 'degraded_above_ms', type: 'integer' })
  degradedAboveMs: number;
  @Column({ type: 'boolean' })
  critical: boolean;
  @Column({ name: 'created_at', type: 'timestamptz', precision: 3, default: () => 'clock_timestamp()' })
  createdAt: Date;
  @Column({ name: 'updated_at', type: 'timestamptz', precision: 3, default: () => 'clock_timestamp()' })
  updatedAt: Date;
  /** What the leader found last, for the other instances: a `ComponentState`. */
  @Column({ type: 'jsonb', nullable: true })
  state: object | null;
  @Column({ name: 'checked_at', type: 'timestamptz', precision: 3, nullable: true })
  checkedAt: Date | null;
}

export const HEALTH_ENTITIES = [ComponentStatusEntity, OutsideCheckEntity] as const;
