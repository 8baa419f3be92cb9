/** Makes a .deb with dpkg-deb: what Debian's own tools write, other tools of Debian read. */
import { mkdirSync, readFileSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { installedKib, type Tree, writeTree } from "./content.ts";
import {
  DESCRIPTION,
  MAINTAINER,
  type Machine,
  NAME,
  type Release,
  ROOT,
  SUMMARY,
} from "./release.ts";
import { run } from "./run.ts";

/** What a script of the package does with the functions of packaging/scripts. */
const SCRIPTS = {
  postinst: 'case "$1" in configure) ramster_installed "$2" ;; esac',
  prerm: 'case "$1" in remove | deconfigure) ramster_removing ;; esac',
  postrm: 'case "$1" in remove) ramster_removed ;; purge) ramster_purged ;; esac',
} as const;

/** @returns the name of the file in `out`. */
export async function makeDeb(
  tree: Tree,
  machine: Machine,
  release: Release,
  { work, out }: { work: string; out: string },
): Promise<string> {
  const folder = join(work, `deb-${machine.debian}`);
  const control = join(folder, "DEBIAN");
  writeTree(tree, folder, release);
  mkdirSync(control, { mode: 0o755 });
  const write = (name: string, text: string, mode: number): void => {
    writeFileSync(join(control, name), text, { mode });
    utimesSync(join(control, name), release.epoch, release.epoch);
  };
  write("control", controlText(tree, machine, release), 0o644);
  write("md5sums", await sums(tree, folder), 0o644);
  const functions = readFileSync(join(ROOT, "packaging/scripts/functions.sh"), "utf8");
  for (const [name, call] of Object.entries(SCRIPTS)) {
    write(name, `#!/bin/sh\nset -e\n\n${functions}\n${call}\n`, 0o755);
  }
  // The folder for keys and configurations, which are the user's.
  mkdirSync(join(folder, "etc/ramster"), { recursive: true, mode: 0o755 });
  for (const path of ["etc/ramster", "etc", "DEBIAN", ""]) {
    utimesSync(join(folder, path), release.epoch, release.epoch);
  }
  const name = `${NAME}_${release.version}_${machine.debian}.deb`;
  const packing = ["-Zzstd", "-z9", "--threads-max=1", "--root-owner-group"];
  await run(["dpkg-deb", ...packing, "--build", folder, join(out, name)], {
    env: { SOURCE_DATE_EPOCH: String(release.epoch) },
  });
  return name;
}

function controlText(tree: Tree, { debian }: Machine, { version }: Release): string {
  return [
    `Package: ${NAME}`,
    `Version: ${version}`,
    `Architecture: ${debian}`,
    `Maintainer: ${MAINTAINER}`,
    `Installed-Size: ${installedKib(tree)}`,
    // The program takes GLIBC_2.17 (objdump -T). The others make its user and its folders.
    "Depends: libc6 (>= 2.17), systemd | systemd-standalone-sysusers, systemd | systemd-standalone-tmpfiles",
    "Recommends: liblz4-1, libzstd1",
    "Suggests: nbd-client",
    "Section: net",
    "Priority: optional",
    `Description: ${SUMMARY}`,
    ...DESCRIPTION.map((line) => ` ${line}`),
    "",
  ].join("\n");
}

async function sums(tree: Tree, folder: string): Promise<string> {
  return (await run(["md5sum", ...tree.keys()], { cwd: folder })).toString();
}
