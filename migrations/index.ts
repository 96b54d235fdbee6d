import type { MigrationInterface } from 'typeorm';
import { Core1763640000000 } from './1763640000000-core.js';
import { Access1763640000100 } from './1763640000100-access.js';
import { Metrics1763640000200 } from './1763640000200-metrics.js';
import { Health1763640000300 } from './1763640000300-health.js';
import { ActiveUsers1763640000400 } from './1763640000400-active-users.js';

/** Every migration of schema `vigia`, oldest first. A released one is never edited. */
export const MIGRATIONS: readonly (new () => MigrationInterface)[] = [
  Core1763640000000,
  Access1763640000100,
  Metrics1763640000200,
  Health1763640000300,
  ActiveUsers1763640000400,
];
