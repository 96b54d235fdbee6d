import { Injectable } from '@nestjs/common';
import { Registry, type Metric } from 'prom-client';
import { Instance } from '../../../../core/index.js';
import { MonitoringOptions } from '../../monitoring.options.js';
import { Collector } from '../collector.js';
import { BUSINESS_PREFIX, definitionOf } from '../metric-catalogue.js';
import type { MetricSample } from '../metrics.types.js';
import { RequestRecorder } from '../requests/request-recorder.js';
import { DURATION_BUCKETS_SECONDS, type RouteSeries } from '../requests/route-series.js';

interface Line {
  readonly metricName?: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

interface Family {
  readonly name: string;
  readonly help: string;
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly values: readonly Line[];
}

const REQUESTS = 'http_requests_total';
const DURATION = 'http_request_duration_seconds';
const ABORTED = 'http_requests_aborted_total';

/**
 * The Prometheus text of this instance. A registry is filled anew for each scrape from what the
 * recorder and the last collection know, so a scrape costs the hot path nothing and nothing is
 * counted twice.
 */
@Injectable()
export class PrometheusExposition {
  constructor(
    private readonly recorder: RequestRecorder,
    private readonly collector: Collector,
    private readonly instance: Instance,
    private readonly options: MonitoringOptions,
  ) {}

  readonly contentType = Registry.PROMETHEUS_CONTENT_TYPE;

  text(): Promise<string> {
    const registry = new Registry();
    for (const family of this.families()) register(registry, family);
    return registry.metrics();
  }

  private families(): Family[] {
    const series = this.recorder.allSeries();
    return [
      this.buildInfo(),
      {
        name: REQUESTS,
        help: 'Answers by route template and status class',
        type: 'counter',
        values: series.flatMap(requestLines),
      },
      {
        name: DURATION,
        help: 'Response time in seconds',
        type: 'histogram',
        values: series.flatMap(durationLines),
      },
      {
        name: ABORTED,
        help: 'Requests whose connection ended first, and event streams',
        type: 'counter',
        values: series.flatMap(abortedLines),
      },
      gauge('http_requests_active', 'Requests under way', this.recorder.active),
      gauge(
        'process_start_time_seconds',
        'Start of the process since the epoch',
        this.instance.startedAtMs / 1000,
      ),
      gauge('process_resident_memory_bytes', 'Resident memory', process.memoryUsage.rss()),
      ...sampleFamilies(this.collector.samples),
    ];
  }

  private buildInfo(): Family {
    const labels = {
      version: this.options.version ?? 'unknown',
      node_version: process.versions.node,
      instance_id: this.instance.id,
    };
    return {
      name: 'vigia_build_info',
      help: 'What runs; the value is always 1',
      type: 'gauge',
      values: [{ labels, value: 1 }],
    };
  }
}

function gauge(name: string, help: string, value: number): Family {
  return { name, help, type: 'gauge', values: [{ labels: {}, value }] };
}

/** The registry asks a metric for nothing but its name and its values, which is how it is filled from outside. */
function register(registry: Registry, family: Family): void {
  const metric = { ...family, aggregator: 'sum', get: () => Promise.resolve(family) };
  registry.registerMetric(metric as unknown as Metric);
}

function requestLines(series: RouteSeries): Line[] {
  return series
    .totals()
    .map(({ statusClass, requests }) => ({ labels: labelsOf(series, statusClass), value: requests }));
}

function durationLines(series: RouteSeries): Line[] {
  return series.totals().flatMap(({ statusClass, requests, sumSeconds, buckets }) => {
    const labels = labelsOf(series, statusClass);
    const bucket = (le: string, value: number) => ({
      metricName: `${DURATION}_bucket`,
      labels: { ...labels, le },
      value,
    });
    return [
      ...buckets.map((value, i) => bucket(String(DURATION_BUCKETS_SECONDS[i]), value)),
      bucket('+Inf', requests),
      { metricName: `${DURATION}_sum`, labels, value: sumSeconds },
      { metricName: `${DURATION}_count`, labels, value: requests },
    ];
  });
}

function abortedLines({ endpoint: { method, route }, aborted }: RouteSeries): Line[] {
  return aborted > 0 ? [{ labels: { method, route }, value: aborted }] : [];
}

function labelsOf({ endpoint: { method, route } }: RouteSeries, status: string): Record<string, string> {
  return { method, route, status };
}

/**
 * Every metric of the last collection as `vigia_<name>`, with underscores for dots; gauges of the
 * business in one family with their name as a label, since two of them could become the same name.
 */
function sampleFamilies(samples: readonly MetricSample[]): Family[] {
  const families = new Map<string, Family & { values: Line[] }>();
  for (const sample of samples) {
    const { name, help, labels } = promOf(sample);
    const family = families.get(name) ?? { name, help, type: 'gauge' as const, values: [] };
    family.values.push({ labels, value: sample.value });
    families.set(name, family);
  }
  return [...families.values()];
}

function promOf({ name, labels }: MetricSample): Pick<Family, 'name' | 'help'> & Pick<Line, 'labels'> {
  if (name.startsWith(BUSINESS_PREFIX)) {
    const label = { name: name.slice(BUSINESS_PREFIX.length) };
    return {
      name: 'vigia_business',
      help: 'Gauges of the business, by name',
      labels: { ...labels, ...label },
    };
  }
  return {
    name: `vigia_${name.replaceAll('.', '_')}`,
    help: definitionOf(name)?.description ?? name,
    labels,
  };
}
