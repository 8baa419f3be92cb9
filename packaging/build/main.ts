/**
 * `bun run packages`: makes dist/packages from this clone. Two runs of one commit make the same
 * bytes, wherever the clone is.
 *
 *     sources -> program, of each machine -+-> .deb, .rpm, .tar.gz, of each machine
 *     tables  -> man pages, completion ----+
 *     bundler -> licences, SBOM -----------+-> an image of OCI, for both -> SHA256SUMS
 *
 *     bun run packages [--out DIR] [--only deb,rpm,tar,oci]
 */
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { bundledPackages, licencesText } from "./bundled.ts";
import { type Parts, treeOf } from "./content.ts";
import { makeDeb } from "./deb.ts";
import { makeImage } from "./image.ts";
import { compile } from "./program.ts";
import { MACHINES, type Release, ROOT, releaseOf } from "./release.ts";
import { makeRpm } from "./rpm.ts";
import { BuildError } from "./run.ts";
import { sbomText } from "./sbom.ts";
import { makeTarball } from "./tarball.ts";

const KINDS = ["deb", "rpm", "tar", "oci"] as const;

interface Options {
  readonly out: string;
  readonly kinds: readonly string[];
}

function readOptions(): Options {
  const { values } = parseArgs({
    options: { out: { type: "string" }, only: { type: "string" } },
  });
  const kinds = values.only?.split(",") ?? KINDS;
  const strange = kinds.find((kind) => !KINDS.some((it) => it === kind));
  if (strange !== undefined) {
    throw new BuildError(`Cannot use --only "${strange}": take some of ${KINDS.join(", ")}`);
  }
  const out = resolve(values.out ?? join(ROOT, "dist/packages"));
  return { out, kinds };
}

async function build({ out, kinds }: Options): Promise<string[]> {
  const release = await releaseOf();
  rmSync(out, { recursive: true, force: true });
  mkdirSync(out, { recursive: true });
  const work = mkdtempSync(join(tmpdir(), "ramster-packages-"));
  try {
    const bundled = await bundledPackages();
    const [licences, sbom] = [licencesText(bundled), sbomText(bundled, release)];
    const names = ["THIRD-PARTY-LICENSES", `ramster-${release.version}.cdx.json`];
    writeFileSync(join(out, names[0] ?? ""), licences);
    writeFileSync(join(out, names[1] ?? ""), sbom);
    const programs = new Map<string, string>();
    for (const machine of MACHINES) {
      const program = await compile(machine, join(work, "program"));
      programs.set(machine.debian, program);
      const parts = { program, licences, sbom };
      names.push(...(await packagesOf(machine, parts, release, kinds, { work, out })));
    }
    if (kinds.includes("oci")) names.push(await makeImage(programs, release, { work, out }));
    writeFileSync(join(out, "SHA256SUMS"), sums(out, names));
    return names;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

async function packagesOf(
  machine: (typeof MACHINES)[number],
  parts: Parts,
  release: Release,
  kinds: readonly string[],
  places: { work: string; out: string },
): Promise<string[]> {
  const made: string[] = [];
  const tree = (world: Parameters<typeof treeOf>[2]) => treeOf(release, parts, world);
  if (kinds.includes("deb")) made.push(await makeDeb(tree("debian"), machine, release, places));
  if (kinds.includes("rpm")) made.push(await makeRpm(tree("rpm"), machine, release, places));
  if (kinds.includes("tar")) made.push(await makeTarball(tree("plain"), machine, release, places));
  return made;
}

/** As sha256sum(1) writes and checks them. */
function sums(out: string, names: readonly string[]): string {
  const lines = [...names].sort().map((name) => {
    const hash = createHash("sha256")
      .update(readFileSync(join(out, name)))
      .digest("hex");
    return `${hash}  ${name}\n`;
  });
  return lines.join("");
}

// Folders have the same modes, whoever builds.
process.umask(0o022);
try {
  const options = readOptions();
  for (const name of await build(options)) console.log(join(options.out, name));
} catch (error) {
  if (!(error instanceof BuildError)) throw error;
  console.error(error.message);
  process.exitCode = 1;
}
