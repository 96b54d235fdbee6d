import type { AccessPolicy } from '../access/access.policy.js';
import { ACCESS_POLICY, AUDITED, type AuditRule } from '../access/access.metadata.js';

/** What the hooks before the handler need to know of a route; kept in Fastify's route config. */
export interface RoutePolicy {
  readonly access: AccessPolicy;
  readonly audit: AuditRule | undefined;
  /** Which inputs the handler declares; the others must be absent. */
  readonly declares: { readonly query: boolean; readonly body: boolean };
}

declare module 'fastify' {
  interface FastifyContextConfig {
    vigia?: RoutePolicy;
  }
}

type Handler = (...args: unknown[]) => unknown;

/** Reads the policy of one handler from its decorators; undefined when it has no access decorator at all. */
export function routePolicyOf(
  controller: new (...args: never[]) => object,
  handler: Handler,
  name: string,
): RoutePolicy | undefined {
  const read = <T>(key: string) =>
    (Reflect.getMetadata(key, handler) ?? Reflect.getMetadata(key, controller)) as T | undefined;
  const access = read<AccessPolicy>(ACCESS_POLICY);
  if (!access) return undefined;
  const declared = declaredInputs(controller, name);
  return {
    access,
    audit: Reflect.getMetadata(AUDITED, handler) as AuditRule | undefined,
    declares: { query: declared.has(QUERY), body: declared.has(BODY) },
  };
}

// Nest's RouteParamtypes: its metadata keys are `<type>:<argument index>`.
const BODY = '3';
const QUERY = '4';

function declaredInputs(controller: object, name: string): Set<string> {
  const args = (Reflect.getMetadata('__routeArguments__', controller, name) ?? {}) as Record<string, unknown>;
  return new Set(Object.keys(args).map((key) => key.split(':')[0] ?? ''));
}
