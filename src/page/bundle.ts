/**
 * Macros (https://bun.com/docs/bundler/macros): functions that run when the program is built, and
 * leave their result in it. They make the files of the page, so the binary has them inside.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";

const FOLDER = join(import.meta.dir, "browser");

/** The script of the page, in one piece. */
export function bundledScript(): string {
  const command = [process.execPath, "build", join(FOLDER, "main.ts")];
  const { success, stdout, stderr } = Bun.spawnSync([...command, "--minify", "--target=browser"], {
    env: { ...process.env, BUN_BE_BUN: "1" },
  });
  if (!success) throw new Error(stderr.toString());
  return stdout.toString();
}

export function bundledHtml(): string {
  return readFileSync(join(FOLDER, "page.html"), "utf8");
}

/** The style of the page, after that of uPlot. */
export function bundledStyle(): string {
  const uplot = readFileSync(Bun.resolveSync("uplot/dist/uPlot.min.css", FOLDER), "utf8");
  return `${uplot}\n${readFileSync(join(FOLDER, "page.css"), "utf8")}`;
}
