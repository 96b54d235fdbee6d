import { Injectable } from '@nestjs/common';
import { Clock, NotFoundError, ValidationFailedError } from '../../../../core/index.js';
import { MonitoringConfig } from '../config/monitoring-config.js';
import { BUSINESS_PREFIX } from '../metric-catalogue.js';
import type { Labels, MetricDefinition } from '../metrics.types.js';
import { BUSINESS_SAMPLES_MS } from '../rollup/retention.service.js';
import { SeriesDictionary, type Series } from '../stores/series-dictionary.js';
import { percentileOf, quantilePoints } from './distribution.js';
import { MAX_POINTS, MAX_SERIES } from './history.dto.js';
import { HistoryStore, type HistoryPoint, type HistoryRange, type StoredSeries } from './history.store.js';
import { isRatio, LatencyStore, type RatioName } from './latency.store.js';
import { describe, isCatalogued } from './metric-names.js';
import { floorTo, planOf, type Plan, type TierOffer } from './plan.js';
import { RangeTooWideError, WideQuestions } from './wide-questions.js';

export interface HistoryQuestion {
  readonly names: readonly string[];
  readonly from?: Date | undefined;
  readonly to?: Date | undefined;
  readonly points: number;
  readonly instance?: string | undefined;
}

/** One label of one series, as `name` and `value`. */
export interface LabelChoice {
  readonly name: string;
  readonly value: string;
}

export interface SeriesHistory {
  readonly definition: MetricDefinition;
  readonly labels: Labels;
  readonly points: readonly HistoryPoint[];
}

export interface History {
  readonly fromMs: number;
  readonly toMs: number;
  readonly stepMs: number;
  readonly series: readonly SeriesHistory[];
}

/** What a name can be at all; other text does not reach the database. */
const METRIC_NAME = /^[a-z][a-z0-9_.]*$/;
const DEFAULT_RANGE_MS = 3_600_000;
/** So few sketches of one instance, 6 hours of minutes, take 5 ms to add up and 1 MB. */
const NARROW_BUCKETS = 360;
const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;

/** Answers what metrics were over time. */
@Injectable()
export class HistoryService {
  constructor(
    private readonly store: HistoryStore,
    private readonly latencies: LatencyStore,
    private readonly wide: WideQuestions,
    private readonly dictionary: SeriesDictionary,
    private readonly config: MonitoringConfig,
    private readonly clock: Clock,
  ) {}

  /**
   * One series per label set, in the order of the names. A metric without samples yet has no series,
   * or one without points if the range holds none.
   * @throws NotFoundError naming a metric that neither the catalogue nor the store knows
   * @throws RangeTooWideError when the answer would take too long or hold too many points
   */
  async read(question: HistoryQuestion): Promise<History> {
    const names = [...new Set(question.names)];
    const range = this.rangeOf(question);
    const stored = await this.knownSeries(names, range);
    return this.historyOf(names, stored, range, question.points);
  }

  /**
   * The first series of one metric, or the one that a label picks, however many others there are.
   * @returns the series, none if the label picks none, and the label sets of all
   * @throws as `read`
   */
  async readOne(
    question: Omit<HistoryQuestion, 'names'> & { readonly name: string },
    label?: LabelChoice,
  ): Promise<{ history: History; labelSets: Labels[] }> {
    const { name } = question;
    const range = this.rangeOf(question);
    const known = await this.knownSeries([name], range);
    const stored = isDerived(name) ? [{ id: 0, name, labels: {} }] : known;
    const chosen = stored.filter(({ labels }) => label === undefined || has(labels, label)).slice(0, 1);
    const history = await this.historyOf(chosen.length > 0 ? [name] : [], chosen, range, question.points);
    return { history, labelSets: stored.map(({ labels }) => labels) };
  }

  private async historyOf(
    names: readonly string[],
    stored: readonly Series[],
    range: HistoryRange,
    points: number,
  ): Promise<History> {
    requireFew(stored);
    const plan = await this.planFor(names, range, points);
    if ((stored.length * (range.toMs - range.fromMs)) / plan.stepMs > MAX_POINTS)
      throw new RangeTooWideError();
    const [found, derived] = await Promise.all([
      this.store.read(stored.filter(({ name }) => !isDerived(name)).map(toStored), range, plan),
      this.readDerived(names.filter(isDerived), range, plan),
    ]);
    const historyOf = (series: Series): SeriesHistory => ({
      definition: describe(series.name),
      labels: series.labels,
      points: found.get(series.id) ?? [],
    });
    const series = names.flatMap(
      (name) => derived.get(name) ?? stored.filter((one) => one.name === name).map(historyOf),
    );
    return { fromMs: range.fromMs, toMs: range.toMs, stepMs: plan.stepMs, series };
  }

  private async knownSeries(names: readonly string[], { fromMs }: HistoryRange): Promise<Series[]> {
    const impossible = names.find((name) => !METRIC_NAME.test(name));
    if (impossible !== undefined) throw new NotFoundError(`metric ${impossible}`);
    const { series, known } = await this.dictionary.named(names, fromMs);
    const unknown = names.find((name) => !isCatalogued(name) && !known.has(name));
    if (unknown !== undefined) throw new NotFoundError(`metric ${unknown}`);
    return series;
  }

  private rangeOf({ from, to, instance }: Omit<HistoryQuestion, 'names'>): HistoryRange {
    const toMs = to?.getTime() ?? this.clock.now();
    const fromMs = from?.getTime() ?? toMs - DEFAULT_RANGE_MS;
    if (fromMs >= toMs)
      throw new ValidationFailedError([{ path: 'from', message: 'from must be before to' }]);
    return { fromMs, toMs, instance: instance ?? null };
  }

  private async planFor(names: readonly string[], range: HistoryRange, points: number): Promise<Plan> {
    const { retention, collectIntervalMs } = this.config.current();
    const { fromMs, toMs } = range;
    const hour: TierOffer = { tier: 'hour', unitMs: HOUR_MS, keptMs: retention.hourMs };
    const minuteUnitMs = Math.ceil(collectIntervalMs / MINUTE_MS) * MINUTE_MS;
    const nowMs = this.clock.now();
    if (names.some(isDerived)) {
      const minute: TierOffer = { tier: 'minute', unitMs: minuteUnitMs, keptMs: retention.latencyMinuteMs };
      return planOf([minute, hour], fromMs, toMs, points, nowMs);
    }
    const offers: TierOffer[] = [
      { tier: 'raw', unitMs: collectIntervalMs, keptMs: retention.rawMs },
      { tier: 'minute', unitMs: minuteUnitMs, keptMs: retention.minuteMs },
      hour,
    ];
    const ticks = planOf(offers, fromMs, toMs, points, nowMs);
    if (ticks.tier === 'raw') return this.coarserIfSlower(ticks, offers, range, points);
    const onlyBusiness = names.length > 0 && names.every((name) => name.startsWith(BUSINESS_PREFIX));
    if (!onlyBusiness) return ticks;
    const posted = offers.map((offer) => ({
      ...offer,
      keptMs: offer === hour ? offer.keptMs : BUSINESS_SAMPLES_MS,
    }));
    const plan = planOf(posted, fromMs, toMs, points, nowMs);
    return plan.tier === ticks.tier ? ticks : { ...plan, ticks };
  }

  /** Where ticks were further apart than they are now, points are too. */
  private async coarserIfSlower(
    plan: Plan,
    offers: readonly TierOffer[],
    { fromMs, toMs }: HistoryRange,
    points: number,
  ): Promise<Plan> {
    const longestMs = await this.store.longestIntervalMs(fromMs, toMs);
    if (longestMs === null || longestMs <= plan.unitMs) return plan;
    const slower = offers.map((offer) => ({ ...offer, unitMs: Math.max(offer.unitMs, longestMs) }));
    return planOf(slower, fromMs, toMs, points, this.clock.now());
  }

  private async readDerived(
    names: readonly string[],
    range: HistoryRange,
    plan: Plan,
  ): Promise<Map<string, SeriesHistory>> {
    if (names.length === 0) return new Map();
    const answer = () => this.derive(names, range, plan);
    const buckets = (range.toMs - range.fromMs) / plan.unitMs;
    return buckets <= NARROW_BUCKETS ? answer() : this.wide.run(answer);
  }

  private async derive(
    names: readonly string[],
    range: HistoryRange,
    plan: Plan,
  ): Promise<Map<string, SeriesHistory>> {
    const whole = { ...range, fromMs: floorTo(range.fromMs, plan.tier === 'hour' ? HOUR_MS : MINUTE_MS) };
    const ratios = names.filter(isRatio);
    const quantiles = names.filter((name) => !isRatio(name));
    const [shares, points] = await Promise.all([
      ratios.length > 0 ? this.ratiosOf(ratios, whole, range, plan) : [],
      quantiles.length > 0 ? this.quantilesOf(quantiles, whole, range, plan) : [],
    ]);
    return new Map(
      [...shares, ...points].map(([name, found]) => [
        name,
        { definition: describe(name), labels: {}, points: found },
      ]),
    );
  }

  private async ratiosOf(
    names: readonly RatioName[],
    whole: HistoryRange,
    { fromMs }: HistoryRange,
    plan: Plan,
  ): Promise<(readonly [string, HistoryPoint[]])[]> {
    const steps = await this.latencies.ratios(whole, plan);
    return names.map((name) => [
      name,
      steps.map(({ atMs, count, ...step }) => ({ atMs: Math.max(atMs, fromMs), ...step[name], count })),
    ]);
  }

  private async quantilesOf(
    names: readonly string[],
    whole: HistoryRange,
    { fromMs }: HistoryRange,
    plan: Plan,
  ): Promise<(readonly [string, HistoryPoint[]])[]> {
    const range = { ...whole, which: 'all' as const };
    const buckets =
      plan.tier === 'hour' ? await this.latencies.hours(range) : await this.latencies.minutes(range);
    const histories: (readonly [string, HistoryPoint[]])[] = [];
    for (const name of names) {
      const points = await quantilePoints(buckets, percentileOf(name) ?? 0, plan.stepMs, fromMs);
      histories.push([name, points]);
    }
    return histories;
  }
}

function toStored({ id, name }: Series): StoredSeries {
  return { id, summed: describe(name).merge === 'sum', business: name.startsWith(BUSINESS_PREFIX) };
}

/** Answered from what the routes did, not from the ticks' own figures. */
function isDerived(name: string): boolean {
  return describe(name).merge === 'routes';
}

function has(labels: Labels, { name, value }: LabelChoice): boolean {
  return Object.hasOwn(labels, name) && labels[name] === value;
}

function requireFew(series: readonly Series[]): void {
  if (series.length <= MAX_SERIES) return;
  const message = `these have ${series.length} series; at most ${MAX_SERIES} are answered at once`;
  throw new ValidationFailedError([{ path: 'names', message }]);
}
