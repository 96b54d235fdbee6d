import { Injectable } from '@nestjs/common';
import { Database, type Lease, Leases, type Queryable, VigiaError } from '../../../../core/index.js';
import type { ComponentStatus } from '../health.types.js';
import type { StatusInterval } from '../uptime.js';

/** One row of `component_status`. Instants are epoch milliseconds. */
export interface StatusRow {
  readonly id: string;
  readonly component: string;
  /** Who watched; null for the leader that watches outside targets for all. */
  readonly instance: string | null;
  readonly status: Exclude<ComponentStatus, 'unknown'>;
  readonly startedAtMs: number;
  /** The status was last seen then. */
  readonly confirmedAtMs: number;
  readonly endedAtMs: number | null;
  /** So long after its confirmation an open interval may be taken to last. */
  readonly graceMs: number;
}

export interface StoredUptime {
  readonly intervals: readonly StatusInterval[];
  readonly firstSeenMs: number;
}

/** An answer is computed from at most so many intervals (about 20 MB while it lasts). */
export const MAX_INTERVALS_READ = 100_000;
/** A component that flaps keeps its newest rows, per watcher; what was before them becomes unknown. */
export const MAX_ROWS_PER_COMPONENT = 5_000;
const RETENTION = '2 years';

/** Where an interval ends for a reader: an open one lasts until now while somebody still confirms it. */
const END = `coalesce(ended_at, CASE WHEN confirmed_at + grace_ms * interval '1 millisecond' >= clock_timestamp()
                                THEN clock_timestamp() ELSE confirmed_at END)`;

@Injectable()
export class ComponentStatusStore {
  constructor(
    private readonly database: Database,
    private readonly leases: Leases,
  ) {}

  /** Inserts or updates by id, so it may be repeated. Rows of outside targets that were deleted are left out. */
  async save(tx: Queryable, rows: readonly StatusRow[]): Promise<void> {
    const column = <T>(read: (row: StatusRow) => T): T[] => rows.map(read);
    const at = (ms: number) => new Date(ms);
    await tx.execute(
      `INSERT INTO vigia.component_status AS c (id, component, instance, status, started_at, confirmed_at, ended_at, grace_ms)
       SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::timestamptz[], $6::timestamptz[], $7::timestamptz[], $8::int[])
         AS r (id, component, instance, status, started_at, confirmed_at, ended_at, grace_ms)
       WHERE r.instance IS NOT NULL OR EXISTS (SELECT 1 FROM vigia.outside_checks o WHERE 'check:' || o.name = r.component)
       ON CONFLICT (id) DO UPDATE SET
         confirmed_at = greatest(c.confirmed_at, excluded.confirmed_at), ended_at = excluded.ended_at`,
      [
        column(({ id }) => id),
        column(({ component }) => component),
        column(({ instance }) => instance),
        column(({ status }) => status),
        column(({ startedAtMs }) => at(startedAtMs)),
        column(({ confirmedAtMs }) => at(confirmedAtMs)),
        column(({ endedAtMs }) => (endedAtMs === null ? null : at(endedAtMs))),
        column(({ graceMs }) => graceMs),
      ],
    );
  }

  async closeLeftOpen(instance: string): Promise<void> {
    await this.database.execute(
      'UPDATE vigia.component_status SET ended_at = confirmed_at WHERE instance = $1 AND ended_at IS NULL',
      [instance],
    );
  }

  /** The same for outside targets, when their watching passes to another leader. */
  async closeShared(lease: Lease): Promise<void> {
    await this.database.transaction(async (tx) => {
      await this.leases.assertHeld(tx, lease);
      await tx.execute(
        'UPDATE vigia.component_status SET ended_at = confirmed_at WHERE instance IS NULL AND ended_at IS NULL',
      );
    });
  }

  /**
   * What is stored of each component in a window, by component name.
   * @throws VigiaError RANGE_TOO_WIDE when there are more than `MAX_INTERVALS_READ`
   */
  async read(fromMs: number, toMs: number, component?: string): Promise<Map<string, StoredUptime>> {
    const values = [new Date(fromMs), new Date(toMs), component ?? null];
    const [first, rows] = await Promise.all([this.firstSeen(component), this.intervals(values)]);
    if (rows.length > MAX_INTERVALS_READ)
      throw new VigiaError(
        400,
        'RANGE_TOO_WIDE',
        'too many status changes in this range; ask for a shorter one',
      );
    const byComponent = new Map<string, StatusInterval[]>([...first.keys()].map((name) => [name, []]));
    for (const row of rows) byComponent.get(row.component)?.push(row);
    return new Map(
      [...byComponent].map(([name, intervals]) => [
        name,
        { intervals, firstSeenMs: first.get(name) ?? fromMs },
      ]),
    );
  }

  /** Removes what is too old, and of a flapping component what is too much. */
  async prune(lease: Lease): Promise<number> {
    return this.database.transaction(async (tx) => {
      await this.leases.assertHeld(tx, lease);
      const old = await tx.execute(
        `DELETE FROM vigia.component_status WHERE confirmed_at < clock_timestamp() - interval '${RETENTION}'`,
      );
      const excess = await tx.execute(
        `DELETE FROM vigia.component_status WHERE id IN (
           SELECT id FROM (
             SELECT id, row_number() OVER (PARTITION BY component, instance ORDER BY started_at DESC, id DESC) AS nth FROM vigia.component_status) ranked
           WHERE nth > $1)`,
        [MAX_ROWS_PER_COMPONENT],
      );
      return old + excess;
    });
  }

  private async firstSeen(component?: string): Promise<Map<string, number>> {
    const rows = await this.database.query<{ component: string; first_at: Date }>(
      `SELECT component, min(started_at) AS first_at FROM vigia.component_status
       WHERE $1::text IS NULL OR component = $1 GROUP BY component ORDER BY component`,
      [component ?? null],
      { readOnly: true },
    );
    return new Map(rows.map(({ component: name, first_at }) => [name, first_at.getTime()]));
  }

  private async intervals(values: readonly unknown[]): Promise<StatusInterval[]> {
    const rows = await this.database.query<{
      component: string;
      instance: string | null;
      status: StatusRow['status'];
      started_at: Date;
      end_at: Date;
    }>(
      `SELECT component, instance, status, started_at, end_at
       FROM (SELECT *, ${END} AS end_at FROM vigia.component_status WHERE started_at < $2 AND ($3::text IS NULL OR component = $3)) i
       WHERE end_at > $1 ORDER BY started_at LIMIT ${MAX_INTERVALS_READ + 1}`,
      values,
      { readOnly: true },
    );
    return rows.map(({ component, instance, status, started_at, end_at }) => ({
      component,
      instance,
      status,
      startMs: started_at.getTime(),
      endMs: end_at.getTime(),
    }));
  }
}
