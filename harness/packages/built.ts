/** The packages of this clone, for tests: built with `bun run packages` when a source is newer. */
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "../checks/documents.ts";
import { lastChangeMs } from "../processes/compiled.ts";

export const PACKAGES = join(ROOT, "dist/packages");

/** Builds them to `out`, from the clone at `root`. */
export function build(root: string, out: string): void {
  const command = [process.execPath, "run", "--silent", "packages", "--out", out];
  const { exitCode, stderr } = Bun.spawnSync(command, { cwd: root });
  if (exitCode !== 0) throw new Error(`Cannot build packages: ${stderr.toString()}`);
}

/** The path of one of them, by the end of its name: `_amd64.deb`. */
export function packagePath(end: string): string {
  const sums = join(PACKAGES, "SHA256SUMS");
  if (!existsSync(sums) || lastChangeMs(["packaging", "docs"]) > statSync(sums).mtimeMs) {
    build(ROOT, PACKAGES);
  }
  const name = readdirSync(PACKAGES).find((it) => it.endsWith(end));
  if (name === undefined) throw new Error(`there is no package ...${end}`);
  return join(PACKAGES, name);
}

/** The sums of all files, by name. */
export function sumsIn(folder: string): string {
  return readFileSync(join(folder, "SHA256SUMS"), "utf8");
}
