export { Audited, CurrentPrincipal, Public, Roles } from './access/access.decorators.js';
export type { AuditKind, AuditRule } from './access/access.metadata.js';
export { authorize, type AccessPolicy } from './access/access.policy.js';
export { AuditLog, type AuditEntry } from './access/audit.port.js';
export { Authenticator, type Credentials } from './access/authenticator.port.js';
export {
  principalName,
  type ApiKeyPrincipal,
  type Principal,
  type UserPrincipal,
} from './access/principal.js';
export { roleCovers, ROLES, TIERS, type Role, type Tier } from './access/role.js';
export { Clock, SystemClock } from './clock/clock.js';
export { Ticker, type Tick } from './clock/ticker.js';
export { CoreModule } from './core.module.js';
export { CORE_ENTITIES } from './core.entities.js';
export { Instance, type CoreOptions } from './core.options.js';
export { DatabaseRequiredError } from './database/absent-database.js';
export { addressOfUrl, type Address } from './database/address.js';
export { Database, type PoolStats, type Queryable, type QueryOptions } from './database/database.js';
export { DATABASE_DEFAULTS, type DatabaseOptions } from './database/database.options.js';
export { migrate, pendingMigrations, revertLast, SchemaNewerError } from './database/migrate.js';
export { isConnectionLost, isUniqueViolation, sqlState } from './database/sql-errors.js';
export * from './errors/errors.js';
export { ProblemFilter, sendProblem } from './errors/problem.filter.js';
export { toProblem, type Problem } from './errors/problem.js';
export { EventBus } from './events/event-bus.js';
export { Admission } from './http/admission.js';
export { Answers, Fails } from './http/answers.decorator.js';
export { credentialsOf } from './http/credentials.js';
export { decodeCursor, encodeCursor, toPage, type Page } from './http/cursor.js';
export { requestIdOf } from './http/request-id.js';
export { RestController } from './http/rest-controller.decorator.js';
export { routePolicyOf, type RoutePolicy } from './http/route-policy.js';
export { SchemaPipe } from './http/schema.pipe.js';
export * from './http/schemas.js';
export { InstanceBus } from './instance-bus/instance-bus.js';
export {
  JOB_PROGRESS_TOPIC,
  JobProgress,
  JobTracker,
  LOST_AFTER_MS,
  type JobProgressRow,
  type JobState,
  type JobUpdate,
  type NewJob,
} from './jobs/job-progress.js';
export {
  Jobs,
  type JobContext,
  type JobDefinition,
  type JobSchedule,
  type JobStats,
  type Lane,
} from './jobs/jobs.js';
export { LeaderLoop } from './leases/leader-loop.js';
export { LeaseLostError, Leases, type Lease } from './leases/leases.js';
export { Shutdown, type ShutdownPhase } from './lifecycle/shutdown.js';
export {
  AddressGuard,
  ForbiddenAddressError,
  isForbiddenAddress,
  isWithin,
  parseCidrs,
  type Cidr,
  type Resolve,
} from './net/address-guard.js';
export { Outbox, OutboxRefusedError, OutboxRetryLaterError, type OutboxMessage } from './outbox/outbox.js';
export { RedisConnections, type RedisClient, type RedisStatus } from './redis/redis-connections.js';
