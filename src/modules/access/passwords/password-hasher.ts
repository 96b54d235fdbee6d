import { Injectable, type OnModuleInit } from '@nestjs/common';
import { hash, verify } from '@node-rs/argon2';
import { randomBytes } from 'node:crypto';
import { OverloadedError } from '../access.errors.js';

/** OWASP's first choice for argon2id (the library's default variant): 19 MiB, 2 passes, 1 lane; about 20 ms here. */
const ARGON2ID = { memoryCost: 19_456, timeCost: 2, parallelism: 1 } as const;
/** argon2 runs on libuv's four threads; two stay free for files and name look-ups. Also bounds memory to 38 MiB. */
const MAX_AT_ONCE = 2;
/** Two seconds of work: whoever would wait longer is told to come back. */
export const MAX_WAITING = 200;

/** Hashes and checks passwords, a bounded number at a time. */
@Injectable()
export class PasswordHasher implements OnModuleInit {
  private running = 0;
  private readonly waiting: (() => void)[] = [];
  private dummy: string;

  async onModuleInit(): Promise<void> {
    this.dummy = await this.hash(randomBytes(16).toString('hex'));
  }

  hash(password: string): Promise<string> {
    return this.inTurn(() => hash(password.normalize('NFKC'), ARGON2ID));
  }

  /**
   * @param known the stored hash, or null for an account that does not exist: that costs the same, so
   *   that the time of the answer does not tell which accounts do
   */
  async verify(password: string, known: string | null): Promise<boolean> {
    const matches = await this.inTurn(() => verify(known ?? this.dummy, password.normalize('NFKC')));
    return matches && known !== null;
  }

  private async inTurn<T>(work: () => Promise<T>): Promise<T> {
    await this.enter();
    try {
      return await work();
    } finally {
      this.leave();
    }
  }

  private enter(): Promise<void> | void {
    if (this.running < MAX_AT_ONCE) {
      this.running += 1;
      return;
    }
    if (this.waiting.length >= MAX_WAITING) {
      throw new OverloadedError();
    }
    return new Promise((resolve) => this.waiting.push(resolve));
  }

  /** The place passes straight to the next in line, so that a newcomer cannot take it in between. */
  private leave(): void {
    const next = this.waiting.shift();
    if (next) next();
    else this.running -= 1;
  }
}
