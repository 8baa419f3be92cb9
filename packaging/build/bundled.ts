/**
 * What is in the compiled file besides the sources of this project: packages of npm, and Bun. The
 * bundler itself says which files it has put in.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import packageJson from "../../package.json" with { type: "json" };
import { ROOT } from "./release.ts";
import { BuildError } from "./run.ts";

export interface Bundled {
  readonly name: string;
  readonly version: string;
  /** An identifier of SPDX. */
  readonly license: string;
  readonly licenseText: string;
  /** `sha512-...`, of its archive. Null for Bun, which is not in the lock file. */
  readonly integrity: string | null;
}

/** What the compiled file begins with, and what the page of a node is made from. */
const ENTRIES = ["src/main.ts", "src/cold/worker.ts", "src/page/browser/main.ts"];

/** The packages, by their names. Bun is the last one. */
export async function bundledPackages(): Promise<Bundled[]> {
  const names = new Set<string>();
  for (const entry of ENTRIES) {
    const built = await Bun.build({
      entrypoints: [join(ROOT, entry)],
      target: entry.includes("/browser/") ? "browser" : "bun",
      sourcemap: "external",
      throw: true,
    });
    for (const output of built.outputs.filter(({ kind }) => kind === "sourcemap")) {
      const { sources } = (await output.json()) as { sources: string[] };
      for (const source of sources) {
        const name = /node_modules\/((?:@[^/]+\/)?[^/]+)\/(?!.*node_modules\/)/.exec(source)?.[1];
        if (name !== undefined) names.add(name);
      }
    }
  }
  // Files that are embedded as they are have no source map.
  names.add("lz4-wasm").add("uplot");
  const lock = Bun.JSONC.parse(readFileSync(join(ROOT, "bun.lock"), "utf8")) as Lock;
  return [...[...names].sort().map((name) => describePackage(name, lock)), bun()];
}

interface Lock {
  readonly packages: Readonly<Record<string, readonly unknown[]>>;
}

function describePackage(name: string, lock: Lock): Bundled {
  const folder = join(ROOT, "node_modules", name);
  const { version, license } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
  const integrity = lock.packages[name]?.findLast((it) => /^sha512-/.test(String(it)));
  if (typeof license !== "string" || integrity === undefined) {
    throw new BuildError(`Cannot build packages: the licence or the hash of ${name} is not known`);
  }
  const licenseText = licenseFiles(folder)
    .map((file) => readFileSync(join(folder, file), "utf8").trim())
    .join("\n\n");
  if (licenseText === "") {
    throw new BuildError(`Cannot build packages: ${name} has no text of its licence`);
  }
  return { name, version, license, licenseText, integrity: String(integrity) };
}

function licenseFiles(folder: string): string[] {
  return readdirSync(folder)
    .filter((file) => /^(?:un)?licen[cs]e(?!.*\.(?:js|ts)$)/i.test(file))
    .sort();
}

/** Its types have its documents, and so the text of its licence. */
function bun(): Bundled {
  const version = packageJson.devDependencies["@types/bun"];
  const path = join(ROOT, "node_modules/bun-types/docs/project/license.mdx");
  if (version !== Bun.version || !existsSync(path)) {
    throw new BuildError(`Cannot build packages: the licence of Bun ${Bun.version} is not there`);
  }
  const licenseText = readFileSync(path, "utf8")
    .replace(/^---\n.*?\n---\n/s, "")
    .trim();
  return { name: "bun", version, license: "MIT", licenseText, integrity: null };
}

/** One text with the licence of each. */
export function licencesText(packages: readonly Bundled[]): string {
  const head = [
    "Licences of what is in the program ramster besides ramster itself, which is Apache-2.0.",
    "",
    ...packages.map(({ name, version, license }) => `${name} ${version}: ${license}`),
  ];
  const texts = packages.flatMap(({ name, version, licenseText }) => {
    return ["", "=".repeat(80), `${name} ${version}`, "=".repeat(80), "", licenseText];
  });
  return `${[...head, ...texts].join("\n")}\n`;
}
