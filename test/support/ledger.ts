/**
 * What a client was told of each of its writes: the verdict of a fault test comes from here, not from
 * what the service says afterwards.
 */
export class Ledger {
  readonly acked = new Set<string>();
  readonly refused = new Set<string>();
  /** Cut in mid-reply: it may have happened or not. */
  readonly unknown = new Set<string>();

  async write(id: string, send: () => Promise<{ status: number }>): Promise<void> {
    try {
      const { status } = await send();
      if (status < 300) this.acked.add(id);
      else this.refused.add(id);
    } catch {
      this.unknown.add(id); // the connection ended before the answer
    }
  }

  /** @throws when an acknowledged write is missing, a refused one is there, or any is there twice */
  compare(found: readonly string[]): void {
    const final = new Set(found);
    const lost = [...this.acked].filter((id) => !final.has(id));
    const ghosts = [...this.refused].filter((id) => final.has(id));
    const twice = found.length - final.size;
    if (lost.length + ghosts.length + twice > 0) {
      throw new Error(
        `lost ${lost.length} acknowledged (${lost.slice(0, 3).join()}), kept ${ghosts.length} refused, ${twice} twice, of ${this.acked.size} acknowledged`,
      );
    }
  }
}
