import { Injectable } from '@nestjs/common';
import { Clock } from '../../../../core/index.js';
import { MonitoringConfig } from '../config/monitoring-config.js';
import { BUSINESS_PREFIX } from '../metric-catalogue.js';
import { SeriesDictionary } from '../stores/series-dictionary.js';
import { sample, type SamplesAnswer } from './business.dto.js';
import { BusinessGauges } from './business-gauges.js';
import { BusinessStore, type BusinessSample } from './business.store.js';

export const OLDEST_SAMPLE_MS = 31 * 24 * 3_600_000;

interface Checked {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly atMs: number;
  readonly value: number;
}

type Verdict = { readonly ok: Checked } | { readonly reason: string };

/** Takes gauges that other programs post. */
@Injectable()
export class BusinessService {
  constructor(
    private readonly store: BusinessStore,
    private readonly series: SeriesDictionary,
    private readonly gauges: BusinessGauges,
    private readonly config: MonitoringConfig,
    private readonly clock: Clock,
  ) {}

  /** Stores every sample that is good; those counted as accepted are on disk when this resolves. */
  async accept(inputs: readonly unknown[]): Promise<SamplesAnswer> {
    const nowMs = this.clock.now();
    const verdicts = inputs.map((input) => this.check(input, nowMs));
    const ids = await this.series.idsOf(verdicts.flatMap((verdict) => ('ok' in verdict ? [verdict.ok] : [])));
    const rows: BusinessSample[] = [];
    const rejected: { index: number; reason: string }[] = [];
    verdicts.forEach((verdict, index) => {
      const id = 'ok' in verdict ? ids.shift() : undefined;
      if (!('ok' in verdict)) rejected.push({ index, reason: verdict.reason });
      else if (id == null)
        rejected.push({
          index,
          reason: 'no room for a new series: the number of business series is at its limit',
        });
      else rows.push({ seriesId: id, ...verdict.ok });
    });
    if (rows.length > 0) await this.store.insert(rows);
    this.gauges.note(rows);
    return { accepted: rows.length, rejected };
  }

  private check(input: unknown, nowMs: number): Verdict {
    const result = sample.safeParse(input);
    if (!result.success) return { reason: reasonOf(result.error.issues[0]) };
    const { name, value, at, labels = {} } = result.data;
    const atMs = at?.getTime() ?? nowMs;
    if (atMs > nowMs + this.config.current().collectIntervalMs)
      return { reason: 'at: lies more than one interval in the future' };
    if (atMs < nowMs - OLDEST_SAMPLE_MS) return { reason: 'at: is more than 31 days ago' };
    return { ok: { name: `${BUSINESS_PREFIX}${name}`, labels, atMs, value } };
  }
}

interface Issue {
  readonly path: readonly PropertyKey[];
  readonly message: string;
  /** What is wrong with a key, which says more than that it is. */
  readonly issues?: readonly { readonly message: string }[];
}

function reasonOf(issue: Issue | undefined): string {
  if (!issue) return 'not a sample';
  const message = issue.issues?.[0]?.message ?? issue.message;
  return issue.path.length > 0 ? `${issue.path.map(String).join('.')}: ${message}` : message;
}
