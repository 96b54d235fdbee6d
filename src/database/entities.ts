import { CORE_ENTITIES } from '../core/index.js';
import { ACCESS_ENTITIES } from '../modules/access/index.js';
import { MONITORING_ENTITIES } from '../modules/monitoring/index.js';

/** Every table of schema `vigia`. A test compares them with what the migrations make. */
export const ENTITIES = [...CORE_ENTITIES, ...ACCESS_ENTITIES, ...MONITORING_ENTITIES];
