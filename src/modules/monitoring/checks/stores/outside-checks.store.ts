import { Injectable } from '@nestjs/common';
import { v7 as uuidv7 } from 'uuid';
import {
  ConflictError,
  Database,
  InstanceBus,
  isUniqueViolation,
  Leases,
  NotFoundError,
  type Lease,
  type Queryable,
} from '../../../../core/index.js';
import type { ComponentState } from '../../health/component-state.js';
import type { CheckBody } from '../checks.dto.js';
import {
  componentOf,
  MAX_OUTSIDE_CHECKS,
  type CheckKind,
  type OutsideCheck,
} from '../outside-check.types.js';

export const CHECKS_TOPIC = 'outside-checks';

interface CheckRow {
  readonly id: string;
  readonly name: string;
  readonly kind: CheckKind;
  readonly target: string;
  readonly interval_ms: number;
  readonly timeout_ms: number;
  readonly degraded_above_ms: number;
  readonly critical: boolean;
  readonly created_at: Date;
  readonly updated_at: Date;
}

/** What the leader found last, and how long ago by PostgreSQL's clock. */
export interface SharedState {
  readonly name: string;
  readonly state: ComponentState;
  readonly ageMs: number;
}

const COLUMNS =
  'id, name, kind, target, interval_ms, timeout_ms, degraded_above_ms, critical, created_at, updated_at';

@Injectable()
export class OutsideChecksStore {
  constructor(
    private readonly database: Database,
    private readonly bus: InstanceBus,
    private readonly leases: Leases,
  ) {}

  /** In the order of their names. */
  async list(limit = MAX_OUTSIDE_CHECKS, afterName = ''): Promise<OutsideCheck[]> {
    const rows = await this.database.query<CheckRow>(
      `SELECT ${COLUMNS} FROM vigia.outside_checks WHERE name > $1 COLLATE "C" ORDER BY name COLLATE "C" LIMIT $2`,
      [afterName, limit],
      { readOnly: true },
    );
    return rows.map(toCheck);
  }

  /** @throws ConflictError when the name is taken, or there are `MAX_OUTSIDE_CHECKS` already */
  async create(body: CheckBody): Promise<OutsideCheck> {
    const id = uuidv7();
    return this.named(body.name, async (tx) => {
      // Two that come together would both count 199; making checks is rare, so they wait for each other.
      await tx.execute('LOCK TABLE vigia.outside_checks IN SHARE ROW EXCLUSIVE MODE');
      const [row] = await tx.query<CheckRow>(
        `INSERT INTO vigia.outside_checks (id, name, kind, target, interval_ms, timeout_ms, degraded_above_ms, critical)
         SELECT $1, $2, $3, $4, $5, $6, $7, $8 WHERE (SELECT count(*) FROM vigia.outside_checks) < ${MAX_OUTSIDE_CHECKS}
         RETURNING ${COLUMNS}`,
        [id, ...valuesOf(body)],
      );
      if (!row) throw new ConflictError(`there are ${MAX_OUTSIDE_CHECKS} checks already`, 'LIMIT_REACHED');
      return row;
    });
  }

  /** What was seen of the check so far stays with it under its new name. */
  async replace(id: string, body: CheckBody): Promise<OutsideCheck> {
    return this.named(body.name, async (tx) => {
      const [before] = await tx.query<{ name: string }>(
        'SELECT name FROM vigia.outside_checks WHERE id = $1 FOR UPDATE',
        [id],
      );
      if (!before) throw new NotFoundError('a check of this id');
      const [row] = await tx.query<CheckRow>(
        `UPDATE vigia.outside_checks SET name = $2, kind = $3, target = $4, interval_ms = $5, timeout_ms = $6, degraded_above_ms = $7,
           critical = $8, updated_at = clock_timestamp(), state = NULL, checked_at = NULL
         WHERE id = $1 RETURNING ${COLUMNS}`,
        [id, ...valuesOf(body)],
      );
      if (before.name !== body.name) {
        const move =
          'UPDATE vigia.component_status SET component = $2, ended_at = coalesce(ended_at, confirmed_at) WHERE component = $1';
        await tx.execute(move, [componentOf(before.name), componentOf(body.name)]);
      }
      return row;
    });
  }

  async remove(id: string): Promise<void> {
    await this.database.transaction(async (tx) => {
      const [row] = await tx.query<{ name: string }>(
        'DELETE FROM vigia.outside_checks WHERE id = $1 RETURNING name',
        [id],
      );
      if (!row) throw new NotFoundError('a check of this id');
      await tx.execute('DELETE FROM vigia.component_status WHERE component = $1', [componentOf(row.name)]);
      await this.bus.publish(tx, CHECKS_TOPIC, id);
    });
  }

  async readStates(): Promise<SharedState[]> {
    const rows = await this.database.query<{ name: string; state: ComponentState; age_ms: number }>(
      `SELECT name, state, (extract(epoch FROM clock_timestamp() - checked_at) * 1000)::double precision AS age_ms
       FROM vigia.outside_checks WHERE state IS NOT NULL LIMIT ${MAX_OUTSIDE_CHECKS}`,
      [],
      { readOnly: true },
    );
    return rows.map(({ name, state, age_ms }) => ({ name, state, ageMs: Math.max(0, age_ms) }));
  }

  /** Has anybody but `holder` taken this lease, even if it has expired since? */
  async isWatchedByOther({ name }: Lease, holder: string): Promise<boolean> {
    const rows = await this.database.query(
      'SELECT 1 FROM vigia.leases WHERE name = $1 AND holder <> $2',
      [name, holder],
      { readOnly: true },
    );
    return rows.length > 0;
  }

  /** Writes under the leader's lease: who lost it writes nothing. `also` writes in the same transaction. */
  async writeStates(
    lease: Lease,
    states: readonly SharedState[],
    also: (tx: Queryable) => Promise<void>,
  ): Promise<void> {
    await this.database.transaction(async (tx) => {
      await this.leases.assertHeld(tx, lease);
      await tx.execute(
        `UPDATE vigia.outside_checks c SET state = r.state, checked_at = clock_timestamp() - r.age_ms * interval '1 millisecond'
         FROM unnest($1::text[], $2::jsonb[], $3::double precision[]) AS r (name, state, age_ms) WHERE c.name = r.name`,
        [
          states.map(({ name }) => name),
          states.map(({ state }) => JSON.stringify(state)),
          states.map(({ ageMs }) => ageMs),
        ],
      );
      await also(tx);
    });
  }

  private async named(
    name: string,
    write: (tx: Queryable) => Promise<CheckRow | undefined>,
  ): Promise<OutsideCheck> {
    try {
      return await this.database.transaction(async (tx) => {
        const row = await write(tx);
        if (!row) throw new NotFoundError('a check of this id');
        await this.bus.publish(tx, CHECKS_TOPIC, row.id);
        return toCheck(row);
      });
    } catch (error) {
      if (isUniqueViolation(error, 'uq_outside_checks_name'))
        throw new ConflictError(`there is a check named ${name} already`, 'CONFLICT', { cause: error });
      throw error;
    }
  }
}

function valuesOf({
  name,
  kind,
  target,
  intervalMs,
  timeoutMs,
  degradedAboveMs,
  critical,
}: CheckBody): unknown[] {
  return [name, kind, target, intervalMs, timeoutMs, degradedAboveMs, critical];
}

function toCheck(row: CheckRow): OutsideCheck {
  return {
    id: row.id,
    name: row.name,
    kind: row.kind,
    target: row.target,
    intervalMs: row.interval_ms,
    timeoutMs: row.timeout_ms,
    degradedAboveMs: row.degraded_above_ms,
    critical: row.critical,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  };
}
