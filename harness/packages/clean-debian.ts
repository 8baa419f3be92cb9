/**
 * A clean Debian, made by mmdebstrap: what a machine has before anything of ours is installed. It
 * is kept in the cache of the user for a week, since it takes a minute or two.
 */
import { existsSync, mkdirSync, renameSync, rmSync, statSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";

/** What a machine has: systemd, commands of the network, and what swap takes. */
const PACKAGES = [
  ...["systemd", "systemd-sysv", "dbus", "iproute2", "procps", "kmod", "nbd-client", "curl"],
];
const CACHE = process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache");
const ARCHIVE = join(CACHE, "ramster-tests", "bookworm.tar");
const KEPT_MS = 7 * 24 * 3600 * 1000;

/** The path of its archive. */
export function cleanDebian(): string {
  if (existsSync(ARCHIVE) && Date.now() - statSync(ARCHIVE).mtimeMs < KEPT_MS) return ARCHIVE;
  mkdirSync(dirname(ARCHIVE), { recursive: true });
  const own = `${ARCHIVE}.${process.pid}.tar`;
  const include = `--include=${PACKAGES.join(",")}`;
  const flags = ["--quiet", "--variant=apt", include, "bookworm", own];
  const { exitCode, stderr } = Bun.spawnSync(["mmdebstrap", ...flags]);
  if (exitCode !== 0) {
    rmSync(own, { force: true });
    throw new Error(`Cannot make a clean Debian: ${stderr.toString().slice(-2000)}`);
  }
  renameSync(own, ARCHIVE);
  return ARCHIVE;
}

/** Unpacks it to a folder. */
export function unpackDebian(folder: string): void {
  mkdirSync(folder, { recursive: true });
  const { exitCode, stderr } = Bun.spawnSync(["tar", "-xf", cleanDebian(), "-C", folder]);
  if (exitCode !== 0) throw new Error(`Cannot unpack a clean Debian: ${stderr.toString()}`);
}
