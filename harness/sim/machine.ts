/**
 * SimMachine: the memory of a machine with a lender and other programs. Memory that the lender
 * gives back is available again.
 */
import type { HostMemory, MemorySeen, ProcessUse, Unseen } from "../../src/core/host-memory.ts";
import { FRAME_BYTES } from "../../src/core/limits.ts";
import type { Node } from "../../src/node/node.ts";

/** What a process of its own would take. */
const PROCESS: ProcessUse = {
  residentBytes: 64 * 1024 * 1024,
  virtualBytes: 8 * 1024 * 1024 * 1024,
  cpuSeconds: 1,
  startSeconds: 1_700_000_000,
  openDescriptors: 20,
  descriptorsMax: 1024,
};

/** A machine with plenty of memory, however much is lent. */
export const PLENTY: HostMemory = {
  read: () => {
    const bytes = 2 ** 44;
    const all = { totalBytes: bytes, availableBytes: bytes, stallPercent: 0 };
    return { ...all, cgroup: null, unseen: [] };
  },
  process: () => PROCESS,
};

/** A node that lends. */
interface SimLender {
  readonly node: Node;
  machine: HostMemory;
}

export class SimMachine implements HostMemory {
  /** Memory of the other programs. */
  usedBytes = 0;
  stallPercent = 0;
  cgroup: string | null = null;
  unseen: readonly Unseen[] = [];
  private readonly lender: SimLender;
  private readonly totalBytes: number;

  /** Puts the lender on this machine. */
  constructor(lender: SimLender, totalBytes: number) {
    this.lender = lender;
    this.totalBytes = totalBytes;
    lender.machine = this;
  }

  /** Memory of the lender's frames, in use or not yet returned. */
  get lentBytes(): number {
    const frames = this.lender.node.foreign?.zcache.frames;
    return FRAME_BYTES * ((frames?.framesUsed ?? 0) + (frames?.framesWarm ?? 0));
  }

  get availableBytes(): number {
    return Math.max(0, this.totalBytes - this.usedBytes - this.lentBytes);
  }

  process(): Partial<ProcessUse> {
    return PROCESS;
  }

  read(): MemorySeen {
    const { totalBytes, availableBytes, stallPercent, cgroup, unseen } = this;
    return { totalBytes, availableBytes, stallPercent, cgroup, unseen };
  }
}
