/**
 * ProcessPages: the resident pages of a process's own memory, which are read and never written.
 *
 * Its own memory is what it can write and no file is behind: heap, and anonymous mappings. The
 * stack is left out: arguments and environment lie there. `/proc/PID/pagemap` tells which pages are
 * resident, so no page is touched that the process has not touched, and none comes back from swap
 * (proc_pid_pagemap(5)). Reading takes the rights of ptrace(2).
 */
import { closeSync, openSync, readFileSync, readSync } from "node:fs";
import { PAGE_BYTES } from "../core/limits.ts";

/** Bytes of an entry of pagemap, and the bit of its upper word that means "resident". */
const ENTRY_BYTES = 8;
const PRESENT_BIT = 1 << 31;
/** Entries that are read at once: 512 MiB of addresses. */
const ENTRIES_PER_READ = 128 * 1024;
/** The rest of a larger mapping is left out: 64 GiB, nearly all of it never touched. */
const MAPPING_PAGES_MAX = 16 * 1024 * 1024;

export interface ProcessPagesOptions {
  /** Memory that it shares with other processes counts too. Default: no. */
  readonly shared?: boolean;
}

export class ProcessPages {
  private readonly ranges: readonly Range[];
  private readonly pagemap: number;
  private readonly memory: number;

  /** Throws the error of the operating system: ENOENT or ESRCH, and EACCES or EPERM. */
  constructor(pid: number, { shared = false }: ProcessPagesOptions = {}) {
    const folder = `/proc/${pid}`;
    this.ranges = ownRanges(readFileSync(`${folder}/maps`, "latin1"), shared);
    this.pagemap = openSync(`${folder}/pagemap`, "r");
    try {
      this.memory = openSync(`${folder}/mem`, "r");
    } catch (error) {
      closeSync(this.pagemap);
      throw error;
    }
  }

  /** Visits the address of each resident page, in order. */
  eachResident(visit: (address: number) => void): void {
    const entries = new Uint32Array(2 * ENTRIES_PER_READ);
    const bytes = new Uint8Array(entries.buffer);
    for (const { start, end } of this.ranges) {
      const last = Math.min(end, start + MAPPING_PAGES_MAX * PAGE_BYTES);
      for (let address = start; address < last; ) {
        const wanted = Math.min(ENTRIES_PER_READ, (last - address) / PAGE_BYTES);
        const at = (address / PAGE_BYTES) * ENTRY_BYTES;
        const read = readOrNothing(this.pagemap, bytes, wanted * ENTRY_BYTES, at);
        const count = Math.floor(read / ENTRY_BYTES);
        for (let i = 0; i < count; i += 1) {
          if (((entries[2 * i + 1] ?? 0) & PRESENT_BIT) !== 0) visit(address + i * PAGE_BYTES);
        }
        if (count === 0) break; // The process is gone, or has given the range back.
        address += count * PAGE_BYTES;
      }
    }
  }

  /** Reads the page at the address. @returns false when the process has given it back. */
  read(address: number, target: Uint8Array): boolean {
    return readOrNothing(this.memory, target, PAGE_BYTES, address) === PAGE_BYTES;
  }

  close(): void {
    closeSync(this.pagemap);
    closeSync(this.memory);
  }
}

interface Range {
  readonly start: number;
  readonly end: number;
}

/** A line is `start-end rw-p offset device inode name`. */
const OWN = /^([\da-f]{1,14})-([\da-f]{1,14}) rw.([ps]) \S+ \S+ (\d+) *(.*)$/;
/** Shared memory has a name that was deleted: of /dev/zero, of System V, or of a memfd. */
const SHARED = /^\/(?:dev\/zero|SYSV|memfd:|dev\/shm\/).*\(deleted\)$/;

/** The ranges in the text of `/proc/PID/maps`. */
export function ownRanges(maps: string, shared: boolean): Range[] {
  const ranges: Range[] = [];
  for (const line of maps.split("\n")) {
    const [, from = "", to = "", sharing, inode, name = ""] = OWN.exec(line) ?? [];
    if (sharing === undefined) continue;
    const isOwn = inode === "0" && (name === "" || name === "[heap]" || name.startsWith("[anon:"));
    if (!isOwn && !(shared && SHARED.test(name))) continue;
    ranges.push({ start: Number.parseInt(from, 16), end: Number.parseInt(to, 16) });
  }
  return ranges;
}

/** Some mappings cannot be read, such as those of devices. That is no failure. */
function readOrNothing(file: number, target: Uint8Array, byteCount: number, at: number): number {
  try {
    return readSync(file, target, 0, byteCount, at);
  } catch {
    return 0;
  }
}
