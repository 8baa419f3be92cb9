/** What is built: the version, its time, and the machines that it is for. */
import { join } from "node:path";
import packageJson from "../../package.json" with { type: "json" };
import { run } from "./run.ts";

export const ROOT = join(import.meta.dir, "../..");
export const NAME = packageJson.name;
export const MAINTAINER = "ramster authors <ramster@packages.invalid>";
export const LICENSE = packageJson.license;
export const SUMMARY = "pools the RAM of a cluster of Linux machines";
export const DESCRIPTION = [
  "Pages that one machine cannot keep are compressed, move to a machine that has",
  "room, and come back when they are needed. One program is a node with swap or a",
  "client library in front of it, a lender of memory, and a load generator.",
] as const;

/** A machine, as each world calls it. */
export interface Machine {
  /** Debian, and OCI. */
  readonly debian: "amd64" | "arm64";
  readonly rpm: "x86_64" | "aarch64";
  /**
   * The target of the compiler. "baseline" runs on each x86-64 machine: the other one needs AVX2,
   * and is no faster here, since the codec is that of liblz4 or WebAssembly.
   */
  readonly target: string;
  /** The folder of Debian's libraries. */
  readonly triplet: string;
}

export const MACHINES: readonly Machine[] = [
  {
    debian: "amd64",
    rpm: "x86_64",
    target: "bun-linux-x64-baseline",
    triplet: "x86_64-linux-gnu",
  },
  { debian: "arm64", rpm: "aarch64", target: "bun-linux-arm64", triplet: "aarch64-linux-gnu" },
];

export interface Release {
  readonly version: string;
  /** Seconds since 1970: the time of the commit, which all files get. */
  readonly epoch: number;
}

/** With SOURCE_DATE_EPOCH, as a distribution sets it, no clone is needed. */
export async function releaseOf(): Promise<Release> {
  const given = process.env["SOURCE_DATE_EPOCH"];
  const text = given ?? (await run(["git", "log", "-1", "--format=%ct"], { cwd: ROOT })).toString();
  return { version: packageJson.version, epoch: Number(text.trim()) };
}

/** `2026-11-30`. */
export function dateOf({ epoch }: Release): string {
  return new Date(epoch * 1000).toISOString().slice(0, 10);
}
