import { packageFolder, prepareBinaries } from './binaries.js';
import { DATABASE, ROLE, ensureCluster } from './cluster.js';
import { explainDiskError } from './errors.js';
import { replaceFile } from './files.js';
import { SYSTEM_DIRECTORY, planLayout } from './layout.js';
import type { RememberedState } from './layout.js';
import { obtainPassword } from './password.js';
import { Supervisor } from './supervisor.js';
import type { EmbeddedPostgresLog, Supervised } from './supervisor.js';
import type { ServerSettings } from './settings.js';

export interface EmbeddedPostgresOptions {
  /** DATA_DIR; made if it does not exist. */
  readonly dataDirectory: string;
  readonly log: EmbeddedPostgresLog;
  /** More server settings, e.g. `{ fsync: 'off' }` for tests. They count if this start starts the server. */
  readonly settings?: ServerSettings;
  /** Where root keeps what must not lie below a closed DATA_DIR. Default: `/var/lib/vigia`. */
  readonly systemDirectory?: string;
  /** Folder of the npm package with the programs. Default: the installed one for this platform. */
  readonly packageDirectory?: string;
}

export interface EmbeddedPostgres {
  /** Of database `vigia`. Holds the password: never log it. */
  readonly url: string;
  /** True if the server was already running. */
  readonly adopted: boolean;
  /** PostgreSQL's data folder: below DATA_DIR, or below `systemDirectory`. */
  readonly clusterDirectory: string;
  /**
   * To be called after the last connection was closed. Stops the server if no other process uses
   * it. Never rejects; takes 0.1 s as a rule, and is bounded also if the server hangs.
   */
  readonly stop: () => Promise<void>;
}

/**
 * Starts, or joins, the PostgreSQL server of DATA_DIR, and restarts it on the same port whenever it
 * dies, until `stop`. The session that holds our place keeps this process alive, so call `stop` on
 * every way out. Throws `EmbeddedPostgresError`, whose message is one line for the operator.
 */
export async function startEmbeddedPostgres(options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  try {
    return await start(options);
  } catch (error) {
    throw explainDiskError(error, options.dataDirectory);
  }
}

async function start(options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  const parts = await prepare(options);
  const { layout, password, binaries } = parts;
  const supervisor = new Supervisor(parts);
  const { port, adopted } = await supervisor.start();
  try {
    await remember(parts, { dataDirectory: layout.clusterDirectory, port, major: binaries.major });
  } catch (error) {
    await supervisor.stop();
    throw error;
  }
  options.log.info(`PostgreSQL ${binaries.major} ${adopted ? 'joined' : 'started'} on 127.0.0.1:${port}`);
  return {
    url: `postgresql://${ROLE}:${encodeURIComponent(password)}@127.0.0.1:${port}/${DATABASE}`,
    adopted,
    clusterDirectory: layout.clusterDirectory,
    stop: () => supervisor.stop(),
  };
}

async function prepare(options: EmbeddedPostgresOptions): Promise<Supervised> {
  const { dataDirectory, systemDirectory = SYSTEM_DIRECTORY, log, settings } = options;
  const programs = options.packageDirectory ?? packageFolder();
  const layout = await planLayout(dataDirectory, systemDirectory);
  const binaries = await prepareBinaries(programs, layout.copiesDirectory, layout.user);
  const password = await obtainPassword(layout.passwordFile, layout.clusterDirectory);
  await ensureCluster(binaries, layout.clusterDirectory, layout.user, password);
  return { binaries, layout, password, settings, log };
}

/** The running server's port is the truth; the file only tells the next start which one to take. */
async function remember({ layout }: Supervised, state: RememberedState): Promise<void> {
  const { remembered } = layout;
  if (remembered?.port === state.port && remembered.dataDirectory === state.dataDirectory) return;
  await replaceFile(layout.stateFile, `${JSON.stringify(state, undefined, 2)}\n`, 0o644);
}
