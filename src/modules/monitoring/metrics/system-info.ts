import { Injectable } from '@nestjs/common';
import { createRequire } from 'node:module';
import { arch, cpus, hostname, platform, release, totalmem, type as kernelName } from 'node:os';
import { Database, Instance } from '../../../core/index.js';
import { MonitoringOptions } from '../monitoring.options.js';
import type { SystemInfo } from './metrics.dto.js';
import { Cgroup } from './probes/cgroup.js';
import { readText } from './probes/text-file.js';

/** The libraries whose version matters to whoever reads a fault report. */
const LIBRARIES = ['@nestjs/core', 'fastify', 'typeorm', 'pg', 'bullmq', 'ioredis', 'zod'];

/** What this process runs on, gathered once at the start. Holds no environment values, paths or addresses. */
@Injectable()
export class SystemInfoReader {
  private gathered: SystemInfo | undefined;

  constructor(
    private readonly instance: Instance,
    private readonly database: Database,
    private readonly options: MonitoringOptions,
  ) {}

  async read(): Promise<SystemInfo> {
    const known = (this.gathered ??= await this.gather());
    // Away at the start, perhaps: the database is asked again until its version is known.
    const postgresql = known.dependencies.postgresql ?? (await this.postgresVersion());
    this.gathered = { ...known, dependencies: { ...known.dependencies, postgresql } };
    return { ...this.gathered, app: { ...known.app, uptimeSeconds: Math.round(process.uptime()) } };
  }

  private async gather(): Promise<SystemInfo> {
    const processors = cpus();
    return {
      host: { name: hostname(), platform: platform(), architecture: arch() },
      os: { name: await osName(), release: release() },
      cpu: { model: processors[0]?.model.trim() ?? null, count: processors.length },
      memory: { totalBytes: totalmem() },
      container: await containerLimits(processors.length),
      node: { version: process.versions.node, v8: process.versions.v8 },
      app: {
        version: this.options.version ?? null,
        instance: this.instance.id,
        startedAt: new Date(this.instance.startedAtMs).toISOString(),
        uptimeSeconds: 0,
      },
      dependencies: { postgresql: null, ...libraryVersions() },
    };
  }

  private async postgresVersion(): Promise<string | null> {
    if (!this.database.isConfigured) return null;
    try {
      const rows = await this.database.query<{ server_version: string }>('SHOW server_version', [], {
        readOnly: true,
      });
      return rows[0]?.server_version ?? null;
    } catch {
      return null; // away just now: asked again by the next call
    }
  }
}

async function osName(): Promise<string> {
  const [, pretty] = /^PRETTY_NAME="?([^"\n]+)"?$/m.exec((await readText('/etc/os-release')) ?? '') ?? [];
  return pretty ?? kernelName();
}

async function containerLimits(cores: number): Promise<SystemInfo['container']> {
  const cgroup = new Cgroup();
  const [memory, cpu] = await Promise.all([cgroup.memory(totalmem()), cgroup.cpu(cores)]);
  return { memoryLimitBytes: memory?.limitBytes ?? null, cpuLimitCores: cpu?.quotaCores ?? null };
}

function libraryVersions(): Record<string, string | null> {
  const load = createRequire(import.meta.url);
  return Object.fromEntries(LIBRARIES.map((name) => [name, versionOf(load, name)]));
}

function versionOf(load: NodeJS.Require, name: string): string | null {
  try {
    return (load(`${name}/package.json`) as { version: string }).version;
  } catch {
    return null; // a package that does not let its package.json be read
  }
}
