/** Makes the tarball: the same files as the packages, below one folder, for any distribution. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzip, type Tree, writeTree } from "./content.ts";
import { type Machine, NAME, type Release } from "./release.ts";
import { run } from "./run.ts";

/** Flags of GNU tar: the same bytes from the same files. */
export function tarFlags(release: Release): string[] {
  const owner = ["--owner=root:0", "--group=root:0", "--numeric-owner"];
  return ["--sort=name", "--format=gnu", `--mtime=@${release.epoch}`, ...owner];
}

/** @returns the name of the file in `out`. */
export async function makeTarball(
  tree: Tree,
  machine: Machine,
  release: Release,
  { work, out }: { work: string; out: string },
): Promise<string> {
  const base = `${NAME}-${release.version}-linux-${machine.debian}`;
  const folder = join(work, `tar-${machine.debian}`);
  writeTree(tree, join(folder, base), release);
  const archive = await run(["tar", "--create", ...tarFlags(release), "--directory", folder, base]);
  writeFileSync(join(out, `${base}.tar.gz`), gzip(archive));
  return `${base}.tar.gz`;
}
