/** An already rotated refresh token came back: somebody holds a copy. Its session has been ended. */
export class RefreshTokenReused {
  constructor(
    readonly sessionId: string,
    readonly userId: string,
    readonly ip: string | null,
    readonly atMs: number,
  ) {}
}

/**
 * What a credential may do has changed on some instance: whoever keeps connections open (sockets)
 * must look again. Published on every instance, after its caches have forgotten the row.
 */
export class AccessChanged {
  constructor(
    readonly kind: 'session' | 'user' | 'apiKey',
    /** The session, user or key; null when messages may have been missed: look at all of them. */
    readonly id: string | null,
  ) {}
}
