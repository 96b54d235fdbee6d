import type { FactoryProvider } from '@nestjs/common';
import type { LoginAttempts } from './login-attempts/login-attempts.port.js';

/** Another issuer whose tokens are accepted beside Vigia's own. */
export interface ExternalIssuerOptions {
  /** Where the issuer publishes its keys. */
  readonly jwksUrl: string;
  /** What its tokens carry as `iss`. */
  readonly issuer: string;
  /** What its tokens must carry as `aud`. */
  readonly audience: string;
}

export interface AccessOptions {
  /** Signs Vigia's own tokens (HS256): at least 32 bytes. */
  readonly jwtSecret: Uint8Array;
  readonly external?: ExternalIssuerOptions;
  /** The first administrator; what is absent is `admin@localhost` and a generated password. */
  readonly admin?: { readonly email?: string; readonly password?: string };
  /** Told once, when the first administrator got a generated password. */
  readonly onAdminCreated?: (email: string, password: string) => void;
  /** Mark the refresh cookie `Secure`. Default: when the request came by https. */
  readonly secureCookies?: boolean;
  /** Origins besides our own host from which cookies are accepted, e.g. `https://ops.example.com`. */
  readonly allowedOrigins?: readonly string[];
  /** Where the refresh cookie is sent. Default `/api/v1/auth`. */
  readonly cookiePath?: string;
  /** Run what runs by itself, such as the removal of old rows. Default true; a command line has no time for it. */
  readonly background?: boolean;
  /** Mount the routes. */
  readonly http?: boolean;
  /** Who counts failed logins. Default: PostgreSQL. */
  readonly loginAttempts?: Pick<FactoryProvider<LoginAttempts>, 'useFactory' | 'inject'>;
}

export const ACCESS_OPTIONS = Symbol('AccessOptions');
