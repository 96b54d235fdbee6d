import { Injectable } from '@nestjs/common';
import { definitionOf, METRIC_CATALOGUE } from '../metric-catalogue.js';
import type { MetricDefinition } from '../metrics.types.js';
import { SERIES_OVERFLOW } from '../stores/postgres-metrics-sink.js';
import { SeriesDictionary } from '../stores/series-dictionary.js';

/** Every metric there is: the catalogue, and what was stored besides. */
@Injectable()
export class MetricNames {
  constructor(private readonly series: SeriesDictionary) {}

  async all(): Promise<MetricDefinition[]> {
    const known = new Map([...METRIC_CATALOGUE, SERIES_OVERFLOW].map((metric) => [metric.name, metric]));
    for (const name of await this.series.names()) {
      if (!known.has(name)) known.set(name, describe(name));
    }
    return [...known.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  }
}

/** What is known of a stored metric; one that nobody defined is taken for a level. */
export function describe(name: string): MetricDefinition {
  if (name === SERIES_OVERFLOW.name) return SERIES_OVERFLOW;
  return definitionOf(name) ?? { name, unit: '', kind: 'gauge', merge: 'mean', description: '' };
}

/** In the catalogue, so that asking for it is right even before its first sample. */
export function isCatalogued(name: string): boolean {
  return name === SERIES_OVERFLOW.name || METRIC_CATALOGUE.some((metric) => metric.name === name);
}
