import { Get, Param, Query } from '@nestjs/common';
import { Answers, NotFoundError, RestController, Roles } from '../../../../core/index.js';
import { BUSINESS_PREFIX } from '../metric-catalogue.js';
import {
  historyAnswer,
  historyQuery,
  namesAnswer,
  seriesAnswer,
  seriesParams,
  seriesQuery,
  type HistoryAnswer,
  type HistoryQuery,
  type NamesAnswer,
  type SeriesAnswer,
  type SeriesQuery,
} from './history.dto.js';
import { HistoryService, type History, type LabelChoice, type SeriesHistory } from './history.service.js';
import type { HistoryPoint } from './history.store.js';
import { describe, MetricNames } from './metric-names.js';

/** Metrics over time. */
@RestController('monitoring')
@Roles('viewer')
export class HistoryController {
  constructor(
    private readonly history: HistoryService,
    private readonly names: MetricNames,
  ) {}

  @Get('metrics/names')
  @Answers(
    200,
    'Every metric with its unit, what it says, and whether it is a level or an amount per interval',
    namesAnswer,
  )
  async list(): Promise<NamesAnswer> {
    const items = await this.names.all();
    return { items: items.map(({ name, unit, description, kind }) => ({ name, unit, description, kind })) };
  }

  @Get('metrics/history')
  @Answers(200, 'Several metrics over time, one series per label set; gaps are absent points', historyAnswer)
  async read(@Query({ schema: historyQuery }) query: HistoryQuery): Promise<HistoryAnswer> {
    const history = await this.history.read(query);
    return { ...spanOf(history), series: history.series.map(toSeries) };
  }

  @Get('metrics/:name')
  @Answers(
    200,
    'One metric over time; of several label sets the first, or the one that `label` picks',
    seriesAnswer,
  )
  async readOne(
    @Param({ schema: seriesParams }) { name }: { name: string },
    @Query({ schema: seriesQuery }) { label, ...query }: SeriesQuery,
  ): Promise<SeriesAnswer> {
    const { history, labelSets } = await this.history.readOne({ ...query, name }, choiceOf(label));
    const [found] = history.series;
    if (label !== undefined && !found) throw new NotFoundError(`metric ${name} with label ${label}`);
    const one = found ?? { definition: describe(name), labels: {}, points: [] };
    return { ...spanOf(history), ...toSeries(one), labelSets };
  }
}

function choiceOf(label: string | undefined): LabelChoice | undefined {
  if (label === undefined) return undefined;
  const colon = label.indexOf(':');
  return { name: label.slice(0, colon), value: label.slice(colon + 1) };
}

function spanOf({ fromMs, toMs, stepMs }: History): { from: string; to: string; stepMs: number } {
  return { from: new Date(fromMs).toISOString(), to: new Date(toMs).toISOString(), stepMs };
}

function toSeries({ definition, labels, points }: SeriesHistory): HistoryAnswer['series'][number] {
  const shown = definition.name.startsWith(BUSINESS_PREFIX) ? asIs : toSevenDigits;
  return {
    name: definition.name,
    unit: definition.unit,
    labels,
    points: points.map((point) => toPoint(point, shown)),
  };
}

function toPoint(
  { atMs, min, avg, max, count }: HistoryPoint,
  shown: (value: number) => number,
): HistoryAnswer['series'][number]['points'][number] {
  return { at: new Date(atMs).toISOString(), min: shown(min), avg: shown(avg), max: shown(max), count };
}

/** Columns of type `real` carry 7 digits; what follows them is noise of the conversion. */
function toSevenDigits(value: number): number {
  return Number(value.toPrecision(7));
}

/** Business samples are kept in double precision. */
function asIs(value: number): number {
  return value;
}
