import { BoundedMap } from './bounded-map.js';

/** So many sessions, users and keys are known without asking; one entry is about 200 bytes. */
export const MAX_CACHED = 10_000;

/**
 * Rows that every request asks for, kept in the process and forgotten when the instance bus says that
 * they changed. Only rows that open a door are kept: guesses cannot push out what is in use.
 */
export class StateCache<T extends object> {
  private readonly entries: BoundedMap<string, T>;
  private readonly loading = new Map<string, Promise<T | null>>();
  /** Grows with each invalidation: a row that was read before one may be older than it. */
  private epoch = 0;

  /**
   * @param load reads the row; null when there is none or it opens nothing
   * @param isTrusted whether invalidations have surely arrived; while false every call reads the row
   */
  constructor(
    private readonly load: (id: string) => Promise<T | null>,
    private readonly isTrusted: () => boolean,
    maxEntries = MAX_CACHED,
  ) {
    this.entries = new BoundedMap(maxEntries);
  }

  /** The row if it is known and may be trusted now; undefined says to ask `get`. */
  peek(id: string): T | undefined {
    return this.isTrusted() ? this.entries.get(id) : undefined;
  }

  /** @throws DependencyUnavailableError when the row must be read and cannot */
  async get(id: string): Promise<T | null> {
    if (!this.isTrusted()) return this.load(id);
    return this.entries.get(id) ?? this.loading.get(id) ?? this.read(id);
  }

  /** @param id null forgets everything */
  invalidate(id: string | null): void {
    this.epoch += 1;
    if (id === null) {
      this.entries.clear();
      this.loading.clear();
      return;
    }
    this.entries.delete(id);
    this.loading.delete(id);
  }

  invalidateWhere(matches: (row: T) => boolean): void {
    this.epoch += 1;
    this.entries.deleteWhere(matches);
    this.loading.clear();
  }

  private read(id: string): Promise<T | null> {
    const { epoch } = this;
    const reading = this.load(id)
      .then((row) => {
        if (row && epoch === this.epoch) this.entries.set(id, row);
        return row;
      })
      .finally(() => {
        if (this.loading.get(id) === reading) this.loading.delete(id);
      });
    this.loading.set(id, reading);
    return reading;
  }
}
