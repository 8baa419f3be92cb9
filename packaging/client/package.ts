/**
 * Makes the package of the client library, from src/client and packaging/client, in a folder:
 *
 *     index.js      one module, with the comments of the source
 *     its types     the declarations of what is exported, and of nothing else
 *     README.md     docs/library.md
 *     examples/, LICENSE, package.json with the version of this project
 *
 * The same source makes the same bytes.
 */
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type RolldownOptions, rolldown } from "rolldown";
import { dts } from "rolldown-plugin-dts";
import packageJson from "../../package.json" with { type: "json" };
import clientJson from "./package.json" with { type: "json" };

const ROOT = join(import.meta.dir, "../..");
const MATERIAL = import.meta.dir;
const ENTRY = "src/client/mod.ts";

/** Calls that make rows of tables (core/figure.ts): without them where no table is used. */
const PURE_CALLS = ["counter", "gauge", "peak", "latency", "asInOriginal", "prefixed"];

export const CLIENT_NAME = clientJson.name;

/** Makes `folder` anew. */
export async function makeClientPackage(folder: string): Promise<void> {
  const { version } = packageJson;
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const banner = `/*! ${CLIENT_NAME} ${version} | ${clientJson.license} */\n`;
  writeFileSync(join(folder, "index.js"), `${banner}${await bundledCode()}`);
  const declarations = await bundledDeclarations();
  // Consumers may have no library with Symbol.asyncDispose in their settings.
  const reference = '/// <reference lib="esnext.disposable" />\n';
  writeFileSync(join(folder, "index.d.ts"), `${banner}${reference}${declarations}`);
  const manifest = { ...clientJson, version };
  writeFileSync(join(folder, "package.json"), `${JSON.stringify(manifest, null, 2)}\n`);
  cpSync(join(ROOT, "docs/library.md"), join(folder, "README.md"));
  cpSync(join(ROOT, "LICENSE"), join(folder, "LICENSE"));
  cpSync(join(MATERIAL, "examples"), join(folder, "examples"), { recursive: true });
}

function bundledCode(): Promise<string> {
  return bundled({
    input: join(ROOT, ENTRY),
    platform: "node",
    treeshake: { manualPureFunctions: PURE_CALLS },
  });
}

async function bundledDeclarations(): Promise<string> {
  const types = mkdtempSync(join(tmpdir(), "ramster-types-"));
  try {
    const argv = ["bun", "x", "tsc", "-p", MATERIAL, "--outDir", types];
    const compiler = Bun.spawnSync(argv, { cwd: ROOT, stdout: "pipe", stderr: "pipe" });
    if (!compiler.success) throw new Error(`${compiler.stdout}${compiler.stderr}`);
    const input = join(types, ENTRY.replace(/\.ts$/, ".d.ts"));
    return await bundled({
      input,
      plugins: [dts({ dtsOnly: true, generator: "oxc", tsconfig: false })],
    });
  } finally {
    rmSync(types, { recursive: true, force: true });
  }
}

async function bundled(options: RolldownOptions): Promise<string> {
  const bundle = await rolldown({ ...options, cwd: ROOT, logLevel: "warn" });
  const { output } = await bundle.generate({ format: "esm" });
  await bundle.close();
  const [chunk, ...more] = output;
  if (more.length > 0) throw new Error(`${options.input} makes more than one file`);
  return chunk.code;
}

/** Packs the folder. @returns the path of the tarball in `target`. */
export function pack(folder: string, target: string): string {
  const argv = ["npm", "pack", "--silent", "--pack-destination", target, folder];
  const { stdout, stderr, success } = Bun.spawnSync(argv, { stdout: "pipe", stderr: "pipe" });
  if (!success) throw new Error(`npm pack failed: ${stderr}`);
  const name = stdout.toString().trim().split("\n").at(-1) ?? "";
  if (!name.endsWith(".tgz")) throw new Error(`npm pack has made "${name}"`);
  readFileSync(join(target, name));
  return join(target, name);
}
