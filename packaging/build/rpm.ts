/** Makes an .rpm with rpmbuild. It works on a finished tree: nothing is compiled, stripped or moved. */
import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Tree, writeTree } from "./content.ts";
import {
  DESCRIPTION,
  LICENSE,
  type Machine,
  NAME,
  type Release,
  ROOT,
  SUMMARY,
} from "./release.ts";
import { run } from "./run.ts";

/** Settings of rpmbuild: see /usr/lib/rpm/macros. */
const MACROS: Readonly<Record<string, string>> = {
  // No stripping, no package of debugging symbols, no links of build ids.
  __os_install_post: "%{nil}",
  debug_package: "%{nil}",
  _build_id_links: "none",
  // What depends on the machine, or on the time.
  _buildhost: "localhost",
  use_source_date_epoch_as_buildtime: "1",
  clamp_mtime_to_source_date_epoch: "1",
  _binary_payload: "w9.zstdio",
  // Debian's rpmbuild cannot tell from the files what they need.
  _use_internal_dependency_generator: "0",
};

/** @returns the name of the file in `out`. */
export async function makeRpm(
  tree: Tree,
  machine: Machine,
  release: Release,
  { work, out }: { work: string; out: string },
): Promise<string> {
  // The path of the tree is in no package, but that of the spec file is in its header.
  const top = join(work, `rpm-${machine.rpm}`);
  const files = join(top, "files");
  writeTree(tree, files, release);
  mkdirSync(join(files, "etc/ramster"), { recursive: true });
  writeFileSync(join(top, `${NAME}.spec`), specText(tree, release));
  const macros = {
    ...MACROS,
    _topdir: top,
    _tmppath: join(top, "tmp"),
    _rpmdir: join(top, "made"),
  };
  const defines = Object.entries(macros).flatMap(([key, value]) => ["--define", `${key} ${value}`]);
  await run(
    ["rpmbuild", "-bb", "--quiet", "--target", `${machine.rpm}-linux`, "--nodeps"]
      .concat(["--buildroot", join(top, "root"), "--define", `tree ${files}`, ...defines])
      .concat(join(top, `${NAME}.spec`)),
    { env: { SOURCE_DATE_EPOCH: String(release.epoch), HOME: top } },
  );
  const name = `${NAME}-${release.version}-1.${machine.rpm}.rpm`;
  renameSync(join(top, "made", machine.rpm, name), join(out, name));
  return name;
}

function specText(tree: Tree, { version }: Release): string {
  const functions = readFileSync(join(ROOT, "packaging/scripts/functions.sh"), "utf8");
  const paths = [...tree.keys()].map((path) => {
    return path.startsWith("usr/share/doc/") ? `%doc /${path}` : `/${path}`;
  });
  return [
    `Name: ${NAME}`,
    `Version: ${version}`,
    "Release: 1",
    `Summary: ${SUMMARY}`,
    `License: ${LICENSE}`,
    "AutoReqProv: no",
    "Requires: libc.so.6(GLIBC_2.17)(64bit)",
    "Requires(post): systemd",
    "Recommends: lz4-libs",
    "Recommends: libzstd",
    "Suggests: nbd",
    "",
    "%description",
    ...DESCRIPTION,
    "",
    "%install",
    "cp -a %{tree}/. %{buildroot}",
    "",
    // $1: how many versions will be there afterwards.
    "%post",
    functions,
    'if [ "$1" -gt 1 ]; then ramster_installed "before"; else ramster_installed ""; fi',
    "",
    "%preun",
    functions,
    'if [ "$1" -eq 0 ]; then ramster_removing; fi',
    "",
    "%postun",
    functions,
    'if [ "$1" -eq 0 ]; then ramster_removed; fi',
    "",
    "%files",
    "%defattr(-,root,root,-)",
    "%dir /etc/ramster",
    ...paths,
    "",
  ].join("\n");
}
