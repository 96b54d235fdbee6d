import type { IncomingHttpHeaders } from 'node:http';
import type { Credentials } from '../access/authenticator.port.js';

const BEARER = /^Bearer +(\S+)$/i;

/** Reads the credential from a request's headers. */
export function credentialsOf(headers: IncomingHttpHeaders): Credentials {
  const bearer = BEARER.exec(headers.authorization ?? '')?.[1];
  const apiKey = headers['x-api-key'];
  return { ...(bearer && { bearer }), ...(typeof apiKey === 'string' && { apiKey }) };
}
