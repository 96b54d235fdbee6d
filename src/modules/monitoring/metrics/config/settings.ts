import { ValidationFailedError, type FieldError } from '../../../../core/index.js';
import {
  RETENTION_DEFAULTS,
  THRESHOLD_DEFAULTS,
  type ConfigDocument,
  type MonitoringSettings,
} from './config.dto.js';

/** Defaults that the surroundings give, where the stored document says nothing. */
export interface IntervalDefaults {
  readonly collectIntervalMs?: number | undefined;
  readonly healthIntervalMs?: number | undefined;
}

const COLLECT_INTERVAL_MS = 15_000;
const HEALTH_INTERVAL_MS = 30_000;

/** The settings in force: the stored document, then the environment, then what is shipped. */
export function settingsOf(
  document: ConfigDocument,
  defaults: IntervalDefaults,
  version: number,
): MonitoringSettings {
  return {
    collectIntervalMs: document.collectIntervalMs ?? defaults.collectIntervalMs ?? COLLECT_INTERVAL_MS,
    healthIntervalMs: document.healthIntervalMs ?? defaults.healthIntervalMs ?? HEALTH_INTERVAL_MS,
    retention: { ...RETENTION_DEFAULTS, ...defined(document.retention) },
    thresholds: { ...THRESHOLD_DEFAULTS, ...defined(document.thresholds) },
    version,
  };
}

/**
 * A coarse tier is made from the finer one, so it must be kept at least as long.
 * @throws ValidationFailedError naming each field that is too short
 */
export function refuseInvertedRetention({ retention }: MonitoringSettings): void {
  const faults: FieldError[] = [
    ...shorter('minuteMs', retention.minuteMs, 'rawMs', retention.rawMs),
    ...shorter('hourMs', retention.hourMs, 'minuteMs', retention.minuteMs),
    ...shorter('latencyHourMs', retention.latencyHourMs, 'latencyMinuteMs', retention.latencyMinuteMs),
  ];
  if (faults.length > 0) throw new ValidationFailedError(faults);
}

function shorter(coarse: string, coarseMs: number, fine: string, fineMs: number): FieldError[] {
  if (coarseMs >= fineMs) return [];
  return [{ path: `retention.${coarse}`, message: `must be at least retention.${fine}, which is ${fineMs}` }];
}

function defined<T extends object>(value: T | undefined): { [K in keyof T]: NonNullable<T[K]> } {
  return Object.fromEntries(Object.entries(value ?? {}).filter(([, v]) => v !== undefined)) as never;
}
