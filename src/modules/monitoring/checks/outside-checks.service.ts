import { Injectable } from '@nestjs/common';
import { AddressGuard, decodeCursor, toPage, ValidationFailedError, type Page } from '../../../core/index.js';
import type { CheckAnswer, CheckBody, ChecksQuery } from './checks.dto.js';
import type { OutsideCheck } from './outside-check.types.js';
import { OutsideChecksStore } from './stores/outside-checks.store.js';
import { parseTarget } from './target.js';

/** Keeps the list of outside targets. */
@Injectable()
export class OutsideChecks {
  constructor(
    private readonly store: OutsideChecksStore,
    private readonly guard: AddressGuard,
  ) {}

  async list({ limit, cursor }: ChecksQuery): Promise<Page<CheckAnswer>> {
    const after = decodeCursor(cursor, ['string']);
    const rows = await this.store.list(limit + 1, after ? String(after[0]) : '');
    return toPage(rows, limit, ({ name }) => [name], toAnswer);
  }

  async create(body: CheckBody): Promise<CheckAnswer> {
    this.refuseForbidden(body);
    return toAnswer(await this.store.create(body));
  }

  async replace(id: string, body: CheckBody): Promise<CheckAnswer> {
    this.refuseForbidden(body);
    return toAnswer(await this.store.replace(id, body));
  }

  remove(id: string): Promise<void> {
    return this.store.remove(id);
  }

  /** Says early what the guard would refuse at every connection. Names are judged there, by what they resolve to. */
  private refuseForbidden({ kind, target }: CheckBody): void {
    const { host } = parseTarget(kind, target);
    const literal = /^[0-9.]+$|:/.test(host)
      ? host
      : /(^|\.)localhost\.?$/.test(host)
        ? '127.0.0.1'
        : undefined;
    if (literal === undefined || !this.guard.isForbidden(literal)) return;
    throw new ValidationFailedError([
      {
        path: 'target',
        message: 'must not be a private, loopback or link-local address; CHECK_ALLOWED_CIDRS opens ranges',
      },
    ]);
  }
}

function toAnswer(check: OutsideCheck): CheckAnswer {
  const { id, name, kind, target, intervalMs, timeoutMs, degradedAboveMs, critical, createdAt, updatedAt } =
    check;
  return {
    id,
    name,
    kind,
    target,
    intervalMs,
    timeoutMs,
    degradedAboveMs,
    critical,
    createdAt: createdAt.toISOString(),
    updatedAt: updatedAt.toISOString(),
  };
}
