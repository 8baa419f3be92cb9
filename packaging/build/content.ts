/**
 * The files of a package, by their paths on the machine. All packages install the same ones, but
 * for the folders in which a distribution keeps completion and licences.
 */
import {
  chmodSync,
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { completionScript } from "../../src/cli/completion/scripts.ts";
import { manPages } from "./man.ts";
import { MAINTAINER, type Release, ROOT } from "./release.ts";

/** A file's text or bytes, or the path of a large file that is copied. */
export type Content = string | Uint8Array | { readonly from: string };

export interface Entry {
  readonly content: Content;
  readonly mode: number;
}

export type Tree = ReadonlyMap<string, Entry>;

export interface Parts {
  /** The compiled file. */
  readonly program: string;
  readonly licences: string;
  readonly sbom: string;
}

export type World = "debian" | "rpm" | "plain";

const UNITS = "usr/lib/systemd/system";
const DOC = "usr/share/doc/ramster";

const ZSH_FUNCTIONS: Readonly<Record<World, string>> = {
  debian: "usr/share/zsh/vendor-completions",
  rpm: "usr/share/zsh/site-functions",
  plain: "usr/share/zsh/site-functions",
};

export function treeOf(release: Release, parts: Parts, world: World): Tree {
  const tree = new Map<string, Entry>();
  const add = (path: string, content: Content, mode = 0o644): void => {
    tree.set(path, { content, mode });
  };
  add("usr/bin/ramster", { from: parts.program }, 0o755);
  const units = readdirSync(join(ROOT, "packaging/systemd"));
  for (const name of units.filter((it) => /\.(?:service|timer)$/.test(it))) {
    add(`${UNITS}/${name}`, own(`packaging/systemd/${name}`));
  }
  add("usr/lib/sysusers.d/ramster.conf", own("packaging/systemd/sysusers.conf"));
  add("usr/lib/tmpfiles.d/ramster.conf", own("packaging/systemd/tmpfiles.conf"));
  for (const [name, text] of manPages(release)) {
    const path = `usr/share/man/man${name.slice(-1)}/${name}.gz`;
    add(path, gzip(text));
  }
  add("usr/share/bash-completion/completions/ramster", completionScript("bash"));
  add(`${ZSH_FUNCTIONS[world]}/_ramster`, completionScript("zsh"));
  add("usr/share/fish/vendor_completions.d/ramster.fish", completionScript("fish"));
  add(`${DOC}/README.md`, own("README.md"));
  for (const [name, content] of documents()) add(`${DOC}/docs/${name}`, content);
  add(`${DOC}/CHANGELOG.md`, own("CHANGELOG.md"));
  add(`${DOC}/THIRD-PARTY-LICENSES`, parts.licences);
  if (world === "debian") {
    add(`${DOC}/changelog.gz`, gzip(debianChangelog(release)));
    add(`${DOC}/copyright`, COPYRIGHT);
    add("usr/share/lintian/overrides/ramster", own("packaging/debian/lintian-overrides"));
  } else {
    add(`${DOC}/LICENSE`, own("LICENSE"));
  }
  add(`${DOC}/sbom.cdx.json`, parts.sbom);
  for (const [name, text] of examples()) add(`${DOC}/examples/${name}`, text);
  return new Map([...tree].sort(([a], [b]) => (a < b ? -1 : 1)));
}

const COPYRIGHT = [
  "The program ramster is under the licence Apache-2.0, which is in",
  "/usr/share/common-licenses/Apache-2.0.",
  "",
  "Copyright (c) 2026 the authors of ramster",
  "",
  "The licences of what else is in the program are in THIRD-PARTY-LICENSES beside this file.",
  "",
].join("\n");

function debianChangelog(release: Release): string {
  const date = new Date(release.epoch * 1000).toUTCString().replace("GMT", "+0000");
  return [
    `ramster (${release.version}) unstable; urgency=medium`,
    "",
    "  * What differs is in CHANGELOG.md beside this file.",
    "",
    ` -- ${MAINTAINER}  ${date}`,
    "",
  ].join("\n");
}

/** The documents and their pictures. */
function documents(): [string, Uint8Array][] {
  const names = readdirSync(join(ROOT, "docs"), { recursive: true }).map(String);
  const files = names.filter((name) => /\.(?:md|webp)$/.test(name)).sort();
  return files.map((name) => [name, readFileSync(join(ROOT, "docs", name))]);
}

function examples(): [string, string][] {
  const folders = ["examples", "prometheus", "grafana", "kubernetes"];
  return folders.flatMap((folder) => {
    const names = readdirSync(join(ROOT, "packaging", folder)).sort();
    return names.map((name): [string, string] => {
      const to = folder === "examples" ? name : `${folder}/${name}`;
      return [to, own(`packaging/${folder}/${name}`)];
    });
  });
}

function own(path: string): string {
  return readFileSync(join(ROOT, path), "utf8");
}

export function gzip(content: string | Uint8Array): Uint8Array {
  // Without a name and a time, and the same on each machine, since it is the library of Bun.
  return Bun.gzipSync(Buffer.from(content), { level: 9, library: "libdeflate" });
}

/** Writes the tree to a folder, with the time of the release everywhere. */
export function writeTree(tree: Tree, folder: string, release: Release): void {
  const folders = new Set<string>([folder]);
  for (const [path, { content, mode }] of tree) {
    const to = join(folder, path);
    mkdirSync(dirname(to), { recursive: true });
    for (let up = dirname(to); up !== folder; up = dirname(up)) folders.add(up);
    if (typeof content === "object" && "from" in content) cpSync(content.from, to);
    else writeFileSync(to, content);
    chmodSync(to, mode);
    utimesSync(to, release.epoch, release.epoch);
  }
  for (const path of [...folders].sort().reverse()) {
    chmodSync(path, 0o755);
    utimesSync(path, release.epoch, release.epoch);
  }
}

/** KiB on the disk, for those who ask before they install. */
export function installedKib(tree: Tree): number {
  let bytes = 0;
  for (const { content } of tree.values()) {
    const isFile = typeof content === "object" && "from" in content;
    bytes += isFile ? Bun.file(content.from).size : Buffer.byteLength(content);
  }
  return Math.ceil(bytes / 1024);
}
