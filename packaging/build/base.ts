/**
 * The libraries of an image, from Debian's packages: the C library, and those that the program
 * opens by itself. apt checks the signatures. Its state is in a folder of its own, so the machine
 * that builds stays as it is.
 *
 * These are the packages of today: an image has the same bytes as another one as long as Debian has
 * the same packages. Their versions are in the labels of the image.
 */
import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Machine } from "./release.ts";
import { run } from "./run.ts";

const PACKAGES = ["libc6", "liblz4-1", "libzstd1"] as const;
const SUITES = [
  ["http://deb.debian.org/debian", "bookworm"],
  ["http://deb.debian.org/debian", "bookworm-updates"],
  ["http://deb.debian.org/debian-security", "bookworm-security"],
] as const;
const KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg";

/** What of the packages is in the image: libraries without tools and charsets, and licences. */
function wanted({ triplet }: Machine): string[] {
  const libraries = ["ld-linux-*", "libc.so.*", "libm.so.*", "libpthread.so.*", "libdl.so.*"];
  const names = [...libraries, "libresolv.so.*", "libnss_*.so.*", "liblz4.so.*", "libzstd.so.*"];
  return [
    ...names.flatMap((name) => [`./lib/${triplet}/${name}`, `./usr/lib/${triplet}/${name}`]),
    "./lib64/ld-linux-*",
    "./lib/ld-linux-*",
    ...PACKAGES.map((name) => `./usr/share/doc/${name}/copyright`),
  ];
}

/** Unpacks the libraries to `to`. @returns the versions of the packages, by their names. */
export async function unpackBase(
  machine: Machine,
  to: string,
  work: string,
): Promise<ReadonlyMap<string, string>> {
  const state = join(work, `apt-${machine.debian}`);
  for (const folder of ["lists/partial", "cache/archives/partial", "parts", "debs"]) {
    mkdirSync(join(state, folder), { recursive: true });
  }
  writeFileSync(join(state, "status"), "");
  const lines = SUITES.map(([at, suite]) => `deb [signed-by=${KEYRING}] ${at} ${suite} main\n`);
  writeFileSync(join(state, "sources.list"), lines.join(""));
  const options = {
    "APT::Architecture": machine.debian,
    "APT::Architectures": machine.debian,
    "Dir::State::Lists": join(state, "lists"),
    "Dir::State::Status": join(state, "status"),
    "Dir::Cache": join(state, "cache"),
    "Dir::Etc::SourceList": join(state, "sources.list"),
    "Dir::Etc::SourceParts": join(state, "parts"),
    "APT::Sandbox::User": "root",
  };
  const flags = Object.entries(options).flatMap(([key, value]) => ["-o", `${key}=${value}`]);
  await run(["apt-get", ...flags, "update"]);
  await run(["apt-get", ...flags, "download", ...PACKAGES], { cwd: join(state, "debs") });
  const versions = new Map<string, string>();
  for (const file of readdirSync(join(state, "debs")).sort()) {
    const path = join(state, "debs", file);
    const fields = (await run(["dpkg-deb", "--field", path, "Package", "Version"])).toString();
    const [, name = "", version = ""] = /^Package: (.*)\nVersion: (.*)$/m.exec(fields) ?? [];
    versions.set(name, version);
    const archive = await run(["dpkg-deb", "--fsys-tarfile", path]);
    await extract(archive, to, wanted(machine));
  }
  return versions;
}

/** `patterns` are those of all packages together. */
async function extract(archive: Buffer, to: string, patterns: readonly string[]): Promise<void> {
  const listed = (await run(["tar", "--list"], { input: archive })).toString().split("\n");
  const globs = patterns.map((it) => new Bun.Glob(it.slice(2)));
  const files = listed.filter((it) => globs.some((glob) => glob.match(it.slice(2))));
  await run(["tar", "--extract", "--directory", to, "--keep-directory-symlink", ...files], {
    input: archive,
  });
}
