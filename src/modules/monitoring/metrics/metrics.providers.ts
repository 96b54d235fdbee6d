import type { Provider, Type } from '@nestjs/common';
import { OwnInterval } from '../own-interval.js';
import { Collector } from './collector.js';
import { MetricsController } from './metrics.controller.js';
import { EventLoopProbe } from './probes/event-loop.probe.js';
import { HostProbe } from './probes/host.probe.js';
import { LinuxHostProbe } from './probes/linux-host.probe.js';
import { PrometheusExposition } from './prometheus/exposition.js';
import { PrometheusController } from './prometheus/prometheus.controller.js';
import { MetricsRecording } from './recording.js';
import { RequestHooks } from './requests/request-hooks.js';
import { RequestRecorder } from './requests/request-recorder.js';
import { SinkBuffer } from './sink-buffer.js';
import { SnapshotReader } from './snapshot-reader.js';
import { SnapshotSources } from './snapshot-sources.js';
import { SystemInfoReader } from './system-info.js';

/** `systeminformation` takes 5 MB and is needed on platforms other than Linux only, so it is loaded there only. */
async function hostProbe(): Promise<HostProbe> {
  if (process.platform === 'linux') return new LinuxHostProbe();
  const { PortableHostProbe } = await import('./probes/portable-host.probe.js');
  return new PortableHostProbe();
}

/**
 * What records metrics. Needs `MonitoringOptions`, `MonitoringConfig` and `MetricsSink` beside it.
 */
export const METRICS_RECORDING_PROVIDERS: readonly Provider[] = [
  { provide: HostProbe, useFactory: hostProbe },
  OwnInterval,
  EventLoopProbe,
  RequestRecorder,
  RequestHooks,
  SnapshotSources,
  SnapshotReader,
  SinkBuffer,
  Collector,
  SystemInfoReader,
  PrometheusExposition,
  MetricsRecording,
];

export const METRICS_RECORDING_CONTROLLERS: readonly Type[] = [MetricsController, PrometheusController];
