import type { MigrationInterface } from 'typeorm';
import { Core1763640000000 } from './1763640000000-core.js';

/** Every migration of schema `vigia`, oldest first. A released one is never edited. */
export const MIGRATIONS: readonly (new () => MigrationInterface)[] = [Core1763640000000];
