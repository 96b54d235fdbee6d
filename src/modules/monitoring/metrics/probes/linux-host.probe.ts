import { Cgroup } from './cgroup.js';
import { CpuProbe } from './cpu.probe.js';
import { DiskProbe } from './disk.probe.js';
import { HostProbe, type HostReading } from './host.probe.js';
import { LoadProbe } from './load.probe.js';
import { MemoryProbe } from './memory.probe.js';
import { NetworkProbe } from './network.probe.js';
import { readText, type ReadText } from './text-file.js';

/** Reads `/proc`, `/sys` and `statfs` only, without blocking and without a child process. */
export class LinuxHostProbe extends HostProbe {
  private readonly cpu: CpuProbe;
  private readonly load: LoadProbe;
  private readonly memory: MemoryProbe;
  private readonly disk: DiskProbe;
  private readonly network: NetworkProbe;

  constructor(read: ReadText = readText) {
    super();
    const cgroup = new Cgroup(read);
    this.cpu = new CpuProbe(read, cgroup);
    this.load = new LoadProbe(read);
    this.memory = new MemoryProbe(read, cgroup);
    this.disk = new DiskProbe(read);
    this.network = new NetworkProbe(read);
  }

  async sample(atMs: number): Promise<HostReading> {
    const [cpu, load, memory, disk, network] = await Promise.all([
      this.cpu.sample(atMs),
      this.load.sample(),
      this.memory.sample(),
      this.disk.sample(atMs),
      this.network.sample(atMs),
    ]);
    return { cpu: { ...cpu, load }, memory, disk, network };
  }
}
