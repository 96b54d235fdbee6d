import { Injectable, Logger, type OnModuleInit } from '@nestjs/common';
import { Clock, ConflictError, Database, InstanceBus, Shutdown, Ticker } from '../../../../core/index.js';
import { MonitoringOptions } from '../../monitoring.options.js';
import type { ConfigBody, ConfigDocument, MonitoringSettings } from './config.dto.js';
import { refuseInvertedRetention, settingsOf } from './settings.js';

const TOPIC = 'monitoring-config';
/** The bus brings a change at once; this finds one whose reading failed just then. */
const REREAD_INTERVAL_MS = 5_000;

type Listener = (settings: MonitoringSettings) => void;

interface ConfigRow {
  document: ConfigDocument;
  version: number;
}

/** The live configuration of monitoring, the same on every instance within a second of a change. */
@Injectable()
export class MonitoringConfig implements OnModuleInit {
  private readonly logger = new Logger(MonitoringConfig.name);
  private readonly listeners = new Set<Listener>();
  private settings: MonitoringSettings;

  constructor(
    private readonly database: Database,
    private readonly bus: InstanceBus,
    private readonly clock: Clock,
    private readonly shutdown: Shutdown,
    private readonly options: MonitoringOptions,
  ) {
    this.settings = settingsOf({}, options, 0);
  }

  async onModuleInit(): Promise<void> {
    await this.reread();
    const stopListening = this.bus.on(TOPIC, () => this.reread());
    const ticker = new Ticker({ name: TOPIC, intervalMs: REREAD_INTERVAL_MS }, this.clock, () =>
      this.reread(),
    );
    ticker.start();
    this.shutdown.register('jobs', 'monitoring config', async () => {
      stopListening();
      await ticker.stop();
    });
  }

  current(): MonitoringSettings {
    return this.settings;
  }

  /** Called after every change, on every instance. @returns a function that removes the listener */
  onChange(listener: Listener): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /**
   * Replaces the stored document: what the new one leaves out returns to its default.
   * @throws ConflictError when `version` is given and is not the stored one
   * @throws ValidationFailedError when a coarse tier would be kept for less than the finer one
   */
  async replace({ version, ...document }: ConfigBody): Promise<MonitoringSettings> {
    refuseInvertedRetention(settingsOf(document, this.options, 0));
    await this.database.transaction(async (tx) => {
      const rows = await tx.query<{ version: number }>(UPSERT, [JSON.stringify(document), version ?? null]);
      if (!rows[0]) throw new ConflictError('the configuration was changed since this version was read');
      await this.bus.publish(tx, TOPIC, String(rows[0].version));
    });
    await this.reread();
    return this.settings;
  }

  private async reread(): Promise<void> {
    const rows = await this.database.query<ConfigRow>(
      'SELECT document, version FROM vigia.monitoring_config WHERE id = 1',
      [],
      { readOnly: true },
    );
    const { document, version } = rows[0] ?? { document: {}, version: 0 };
    // Two readings may overtake each other; the newer document wins.
    if (version <= this.settings.version) return;
    this.settings = settingsOf(document, this.options, version);
    this.tell();
  }

  private tell(): void {
    for (const listener of this.listeners) {
      try {
        listener(this.settings);
      } catch (error) {
        this.logger.error(
          `a listener of the configuration failed: ${(error as Error).message}`,
          (error as Error).stack,
        );
      }
    }
  }
}

/** Gives no row when the caller's version is not the stored one; a first write counts as version 0 before. */
const UPSERT = `
  INSERT INTO vigia.monitoring_config AS c (id, document, version)
  SELECT 1, $1::jsonb, 1 WHERE coalesce($2::int, 0) = 0 OR EXISTS (SELECT 1 FROM vigia.monitoring_config)
  ON CONFLICT (id) DO UPDATE
  SET document = excluded.document, version = c.version + 1, updated_at = clock_timestamp()
  WHERE $2::int IS NULL OR c.version = $2::int
  RETURNING version`;
