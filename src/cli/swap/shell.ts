/**
 * Shell: everything that `ramster swap` does to the machine, behind one interface. So tests check
 * the order of its steps and their errors without a kernel that has nbd.
 */
import {
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  rmSync,
  symlinkSync,
} from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { RamsterError } from "../../core/errors.ts";
import type { Address } from "../../net/address.ts";
import { BunTransport } from "../../net/bun.ts";
import { NO_EVENTS } from "../../net/transport.ts";
import { describeError } from "../exit.ts";

/** A program that has ended. */
export interface Ended {
  readonly code: number;
  readonly stdout: string;
  /** The last non-empty line that the program wrote. */
  readonly lastLine: string;
}

/** The address of a node, and the name of its export. */
export interface ExportAt {
  readonly nbd: Address;
  readonly exportName: string;
}

/** Nodes of this machine that attach their exports to devices of the kernel themselves. */
export interface NodeDevices {
  /** @returns why no node attaches it, as a phrase. Null: one has. */
  attach(at: ExportAt, device: string): Promise<string | null>;
  /** @returns whether a node has detached the device. */
  detach(device: string): Promise<boolean>;
}

/** No node is asked. */
export const NO_NODES: NodeDevices = {
  attach: async () => "no node was asked",
  detach: async () => false,
};

export interface Shell {
  readonly isRoot: boolean;
  /** The nodes of this machine, which may attach devices themselves. */
  readonly nodes: NodeDevices;
  /** Whether the machine has the program. */
  has(program: string): boolean;
  /** Runs a program to its end, or until `stop`. Every exit code is a result, not an error. */
  run(argv: readonly string[], stop?: AbortSignal): Promise<Ended>;
  /** The text of a small file of /proc or /sys. Null if it does not exist. */
  read(path: string): string | null;
  /** The names in a folder. Empty if it does not exist. */
  list(path: string): readonly string[];
  /**
   * Writes a note: a folder of symbolic links, whose targets are the pieces of the text. A node
   * that holds the swap of its kernel reads notes. The contents of a file on tmpfs may be swapped
   * out to that very node, which would wait for itself. A short link is part of its inode, and
   * inodes are never swapped out (mm/shmem.c, SHORT_SYMLINK_LEN).
   */
  writeNote(path: string, text: string): void;
  /** The text of a note. Null if it does not exist. */
  readNote(path: string): string | null;
  /** Removes a note, if it exists. */
  removeNote(path: string): void;
  /** The path without symbolic links, as far as it exists. */
  realPath(path: string): string;
  /** Takes a lock until this process ends. @returns false when another process has it. */
  lock(path: string): Promise<boolean>;
  pause(ms: number): Promise<void>;
  now(): number;
}

/** The folders of administrators' programs, which may be missing in PATH. */
const PATHS = "/usr/sbin:/sbin:/usr/bin:/bin";

/** At most 127 bytes, at four bytes a character. */
const NOTE_PIECES = /.{1,31}/gsu;

export class BunShell implements Shell {
  readonly isRoot = process.getuid?.() === 0;
  nodes: NodeDevices = NO_NODES;
  private readonly path = `${process.env.PATH ?? ""}:${PATHS}`;

  has(program: string): boolean {
    return Bun.which(program, { PATH: this.path }) !== null;
  }

  async run(argv: readonly string[], stop?: AbortSignal): Promise<Ended> {
    const [program = "", ...rest] = argv;
    const file = Bun.which(program, { PATH: this.path });
    if (file === null) return { code: 127, stdout: "", lastLine: `${program}: not found` };
    try {
      const env = { ...process.env, PATH: this.path, LC_ALL: "C" };
      const pipes = { stdin: "ignore", stdout: "pipe", stderr: "pipe" } as const;
      // The program runs in a session of its own, so Ctrl-C ends the wait for swapoff, but not
      // swapoff.
      const signal = stop === undefined ? {} : { signal: stop };
      const child = Bun.spawn([file, ...rest], { ...pipes, ...signal, env, detached: true });
      const output = [child.stdout.text(), child.stderr.text()];
      const [stdout = "", stderr = ""] = await Promise.all(output);
      return {
        code: await child.exited,
        stdout,
        lastLine: lastLineOf(stderr) || lastLineOf(stdout),
      };
    } catch (error) {
      return { code: 126, stdout: "", lastLine: describeError(error) };
    }
  }

  read(path: string): string | null {
    try {
      return readFileSync(path, "utf8");
    } catch {
      return null; // The file does not exist, or has just been removed.
    }
  }

  list(path: string): readonly string[] {
    try {
      return readdirSync(path);
    } catch {
      return []; // As above.
    }
  }

  writeNote(path: string, text: string): void {
    this.removeNote(path);
    mkdirSync(path, { recursive: true });
    const pieces = text.match(NOTE_PIECES) ?? [];
    for (const [index, piece] of pieces.entries()) symlinkSync(piece, join(path, `${index}`));
  }

  readNote(path: string): string | null {
    try {
      const count = readdirSync(path).length;
      const names = Array.from({ length: count }, (_, index) => join(path, `${index}`));
      return names.map((name) => readlinkSync(name)).join("");
    } catch {
      return null; // The note does not exist, or has just been removed.
    }
  }

  removeNote(path: string): void {
    rmSync(path, { recursive: true, force: true });
  }

  realPath(path: string): string {
    const whole = resolve(path);
    try {
      return realpathSync(whole);
    } catch {
      if (dirname(whole) === whole) return whole;
      return join(this.realPath(dirname(whole)), basename(whole));
    }
  }

  /**
   * A lock is a socket that a process listens on. The file that a killed process leaves is not a
   * lock.
   */
  async lock(path: string): Promise<boolean> {
    mkdirSync(dirname(path), { recursive: true });
    try {
      await new BunTransport().listen({ kind: "unix", path }, () => NO_EVENTS);
      return true;
    } catch (error) {
      if (error instanceof RamsterError && error.code === "ADDRESS_IN_USE") return false;
      throw error;
    }
  }

  pause(ms: number): Promise<void> {
    return Bun.sleep(ms);
  }

  now(): number {
    return performance.now();
  }
}

function lastLineOf(text: string): string {
  return text.trimEnd().split("\n").at(-1)?.trim() ?? "";
}
