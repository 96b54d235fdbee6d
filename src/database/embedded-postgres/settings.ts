import { statfs } from 'node:fs/promises';

/** Server settings by name, in PostgreSQL's own units and spelling. */
export type ServerSettings = Readonly<Record<string, string>>;

/** Two parallel hash joins at `work_mem`; Docker gives a container 64 MB unless it is told otherwise. */
const ENOUGH_SHARED_MEMORY_BYTES = 256 * 1024 * 1024;

/**
 * Given on the command line, so that a new version's values reach old data folders too.
 * Durability (`fsync`, `synchronous_commit`, `full_page_writes`) stays as PostgreSQL has it: on.
 */
const TUNED: ServerSettings = {
  cluster_name: 'vigia',
  max_connections: '200',
  shared_buffers: '256MB',
  work_mem: '32MB',
  // An online base backup copies the log after the files: what was written meanwhile must still be there.
  wal_keep_size: '512MB',
  // A forgotten replication slot must not fill the disk.
  max_slot_wal_keep_size: '4GB',
  timezone: 'UTC',
  log_timezone: 'UTC',
  log_line_prefix: '%m [%p] ',
  // Texts of statements and DETAIL lines would carry users' data into a plain file.
  log_min_error_statement: 'panic',
  log_error_verbosity: 'terse',
};

/** What the server is started with; `extra` wins over what is tuned, but not over where it listens. */
export async function serverSettings(port: number, extra: ServerSettings = {}): Promise<ServerSettings> {
  return {
    ...TUNED,
    dynamic_shared_memory_type: await dynamicSharedMemoryType(),
    ...extra,
    port: String(port),
    listen_addresses: '127.0.0.1',
    // A socket file needs a folder that both users reach, and nothing of ours uses it.
    unix_socket_directories: '',
    // The log is the file that we open, whose size we bound.
    logging_collector: 'off',
    log_destination: 'stderr',
  };
}

export function asArguments(settings: ServerSettings): string[] {
  return Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
}

/**
 * Parallel queries share memory in /dev/shm, and fail when that is too small. Files in the data
 * folder work everywhere, but are written to disk now and then. (`shared_buffers` needs neither.)
 */
async function dynamicSharedMemoryType(): Promise<string> {
  if (process.platform === 'win32') return 'windows';
  if (process.platform !== 'linux') return 'posix';
  return (await freeBytes('/dev/shm')) >= ENOUGH_SHARED_MEMORY_BYTES ? 'posix' : 'mmap';
}

async function freeBytes(folder: string): Promise<number> {
  try {
    const { bavail, bsize } = await statfs(folder);
    return bavail * bsize;
  } catch {
    return 0; // No such folder, or a closed one: then PostgreSQL cannot use it either.
  }
}
