import { Inject, Injectable } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { ForbiddenError } from '../../../core/index.js';
import { ACCESS_OPTIONS, type AccessOptions } from '../access.options.js';
import { SESSION_IDLE_MS } from '../stores/sessions.store.js';

const NAME = 'vigia_refresh';
const VALUE = new RegExp(`(?:^|;)\\s*${NAME}=([A-Za-z0-9._-]{1,128})(?=;|$)`);
const DEFAULT_PATH = '/api/v1/auth';

/**
 * The refresh token as a cookie, for pages: scripts cannot read it, and it travels to the auth routes
 * alone. SameSite=Strict keeps other sites from sending it; the Origin check stands behind that, for
 * sibling subdomains, which count as the same site.
 */
@Injectable()
export class RefreshCookie {
  constructor(@Inject(ACCESS_OPTIONS) private readonly options: AccessOptions) {}

  /** @throws ForbiddenError when another site's page sends it */
  read(request: FastifyRequest): string | null {
    const token = VALUE.exec(request.headers.cookie ?? '')?.[1] ?? null;
    if (token !== null) this.refuseForeign(request);
    return token;
  }

  write(request: FastifyRequest, reply: FastifyReply, token: string): void {
    void reply.header('Set-Cookie', this.cookie(request, token, SESSION_IDLE_MS / 1000));
  }

  clear(request: FastifyRequest, reply: FastifyReply): void {
    void reply.header('Set-Cookie', this.cookie(request, '', 0));
  }

  /** A browser names the origin of every POST; other clients need not. @throws ForbiddenError */
  refuseForeign({ headers, host }: FastifyRequest): void {
    const { origin } = headers;
    if (origin === undefined || isHost(origin, host) || this.options.allowedOrigins?.includes(origin)) return;
    throw new ForbiddenError('cookies are not accepted from this origin');
  }

  private cookie(request: FastifyRequest, value: string, maxAgeS: number): string {
    const { secureCookies = request.protocol === 'https', cookiePath = DEFAULT_PATH } = this.options;
    const attributes = [
      `${NAME}=${value}`,
      `Path=${cookiePath}`,
      `Max-Age=${maxAgeS}`,
      'HttpOnly',
      'SameSite=Strict',
    ];
    return (secureCookies ? [...attributes, 'Secure'] : attributes).join('; ');
  }
}

/**
 * Whether a page of this host sent it. The scheme is not compared: behind a proxy that ends TLS we see
 * http where the page is https. `null` (a sandboxed page) is no URL and so no host.
 */
function isHost(origin: string, host: string): boolean {
  if (!URL.canParse(origin)) return false;
  const { protocol, host: originHost } = new URL(origin);
  const own = `${protocol}//${host}`; // with the same scheme a default port is left out on both sides
  return URL.canParse(own) && originHost === new URL(own).host;
}
