import { request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import type { Socket } from 'node:net';
import type { AddressGuard } from '../../../core/index.js';
import { CheckFailedError } from '../health/error-code.js';
import type { CheckKind } from './outside-check.types.js';
import type { Target } from './target.js';

/** So much of an answer is read, and then forgotten: nothing of it is ever shown. */
export const MAX_REPLY_BYTES = 64 * 1024;

/** Resolves when the target answers as one of its kind does. */
type Probe = (target: Target, guard: AddressGuard, signal: AbortSignal) => Promise<void>;

const PROBES: Readonly<Record<CheckKind, Probe>> = {
  http: probeHttp,
  s3: probeBucket,
  tcp: probeTcp,
  postgres: probePostgres,
  redis: probeRedis,
};

export const probe: Probe = (target, guard, signal) => PROBES[target.kind](target, guard, signal);

/** Redirects are not followed: a 3xx is an answer. */
async function probeHttp(target: Target, guard: AddressGuard, signal: AbortSignal): Promise<void> {
  const status = await statusOf('GET', target, guard, signal);
  if (status >= 400) throw new CheckFailedError(`HTTP_${status}`);
}

/** HeadBucket without a signature: 403 says that the bucket is there and guarded. */
async function probeBucket(target: Target, guard: AddressGuard, signal: AbortSignal): Promise<void> {
  const status = await statusOf('HEAD', target, guard, signal);
  if (status >= 300 && status !== 403) throw new CheckFailedError(`HTTP_${status}`);
}

function statusOf(
  method: string,
  { url = '', tls }: Target,
  guard: AddressGuard,
  signal: AbortSignal,
): Promise<number> {
  return new Promise((resolve, reject) => {
    const send = tls ? httpsRequest : httpRequest;
    const agent = tls ? guard.httpsAgent() : guard.httpAgent();
    const request = send(
      url,
      { method, agent, signal, headers: { 'user-agent': 'vigia-check', accept: '*/*' } },
      (response) => {
        drain(response).then(() => resolve(response.statusCode ?? 0), reject);
      },
    );
    request.once('error', reject);
    request.end();
  });
}

/** Reads to the end, or to the cap and no further. */
function drain(response: IncomingMessage): Promise<void> {
  return new Promise((resolve, reject) => {
    let bytes = 0;
    response.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes < MAX_REPLY_BYTES) return;
      response.destroy();
      resolve();
    });
    response.once('end', resolve);
    response.once('error', reject);
    response.once('close', () => reject(new CheckFailedError('CONNECTION_RESET')));
  });
}

async function probeTcp(target: Target, guard: AddressGuard, signal: AbortSignal): Promise<void> {
  await withSocket(target, guard, signal, async () => undefined);
}

/** PING needs no login to tell that a Redis answers; one that asks for it is there. */
async function probeRedis(target: Target, guard: AddressGuard, signal: AbortSignal): Promise<void> {
  await withSocket(target, guard, signal, async (socket) => {
    socket.write('PING\r\n');
    const reply = (await answerOf(socket)).toString('latin1', 0, 64);
    if (/^(\+PONG|-NOAUTH|-NOPERM|-DENIED)/.test(reply)) return;
    throw new CheckFailedError(reply.startsWith('-LOADING') ? 'STARTING' : 'PROTOCOL');
  });
}

/** Length 8 and code 80877103: "do you speak TLS?", which every PostgreSQL answers before any login. */
const SSL_REQUEST = Buffer.from([0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f]);
/** These say that a server runs and knows who may enter: authorization, unknown database. */
const ANSWERED = /^(28|3D000)/;

async function probePostgres(target: Target, guard: AddressGuard, signal: AbortSignal): Promise<void> {
  await withSocket(target, guard, signal, async (socket) => {
    socket.write(SSL_REQUEST);
    const tls = (await answerOf(socket)).toString('latin1', 0, 1);
    if (tls === 'S') return; // going on would need its certificate's authority
    if (tls !== 'N') throw new CheckFailedError('PROTOCOL');
    socket.write(startupMessage());
    judgeStartup(await answerOf(socket));
  });
}

/** A server that is starting or full accepts TCP and answers `N`: only a start-up message tells. */
function judgeStartup(reply: Buffer): void {
  const type = reply.toString('latin1', 0, 1);
  if (type === 'R') return;
  const sqlState = /\0C([0-9A-Z]{5})\0/.exec(`\0${reply.toString('latin1', 5, 512)}`)?.[1] ?? '';
  if (type === 'E' && ANSWERED.test(sqlState)) return;
  if (sqlState === '57P03') throw new CheckFailedError('STARTING');
  throw new CheckFailedError(sqlState === '53300' ? 'TOO_MANY_CONNECTIONS' : 'PROTOCOL');
}

function startupMessage(): Buffer {
  const body = Buffer.from('user\0vigia_check\0database\0postgres\0\0', 'latin1');
  const head = Buffer.alloc(8);
  head.writeInt32BE(body.length + 8, 0);
  head.writeInt32BE(0x0003_0000, 4); // protocol 3.0
  return Buffer.concat([head, body]);
}

async function withSocket(
  target: Target,
  guard: AddressGuard,
  signal: AbortSignal,
  use: (socket: Socket) => Promise<void>,
): Promise<void> {
  const socket = target.tls ? guard.connectTls(target) : guard.connect(target);
  const stop = () => socket.destroy();
  signal.addEventListener('abort', stop, { once: true });
  try {
    await eventOf(socket, target.tls ? 'secureConnect' : 'connect');
    await use(socket);
  } finally {
    signal.removeEventListener('abort', stop);
    socket.on('error', () => undefined); // whatever comes after the answer is of no interest
    socket.destroy();
  }
}

const answerOf = (socket: Socket): Promise<Buffer> => eventOf(socket, 'data') as Promise<Buffer>;

function eventOf(socket: Socket, name: string): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const settle = (done: () => void) => {
      socket.off(name, onEvent).off('error', onError).off('close', onClose);
      done();
    };
    const onEvent = (value: unknown) => {
      socket.pause();
      settle(() => resolve(value));
    };
    const onError = (error: Error) => settle(() => reject(error));
    const onClose = () => settle(() => reject(new CheckFailedError('CONNECTION_RESET')));
    socket.on(name, onEvent).on('error', onError).on('close', onClose);
    if (name === 'data') socket.resume();
  });
}
