import { afterAll, beforeAll, expect, test } from "bun:test";
import { lstatSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { BunShell } from "./shell.ts";

let folder = "";
const shell = new BunShell();

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "ramster-shell-"));
});

afterAll(() => rmSync(folder, { recursive: true }));

test("one process has a lock until it ends, however it ends", async () => {
  const path = join(folder, "of/lock");
  const program = `
    import { BunShell } from ${JSON.stringify(join(import.meta.dir, "shell.ts"))};
    console.log(await new BunShell().lock(${JSON.stringify(path)}));
    setInterval(() => {}, 1000);`;
  const child = Bun.spawn([process.execPath, "-e", program], { stdout: "pipe" });
  const { value } = await child.stdout.getReader().read();
  expect(new TextDecoder().decode(value)).toBe("true\n");
  expect(await shell.lock(path)).toBe(false);
  child.kill("SIGKILL");
  await child.exited;
  expect(await shell.lock(path)).toBe(true);
});

test("realPath() is the same for all spellings, also when the end does not exist", () => {
  mkdirSync(join(folder, "run"));
  symlinkSync("run", join(folder, "link"));
  const real = shell.realPath(join(folder, "run/a.sock"));
  for (const spelling of ["link/a.sock", "run/../run//a.sock", "link/b/../a.sock"]) {
    expect(shell.realPath(join(folder, spelling))).toBe(real);
  }
  expect(shell.realPath(join(folder, "link/no/such.sock"))).toBe(join(real, "../no/such.sock"));
});

test("a note has short links alone, since contents of files may be swapped out", () => {
  const path = join(folder, "notes/nbd0");
  const text = JSON.stringify({ nbd: `unix:/${"ü".repeat(100)}`, exportName: "\n🐏".repeat(80) });
  expect(shell.readNote(path)).toBeNull();
  shell.writeNote(path, text.repeat(2));
  shell.writeNote(path, text);
  expect(shell.readNote(path)).toBe(text);
  for (const name of readdirSync(path)) {
    const link = lstatSync(join(path, name));
    expect(link.isSymbolicLink()).toBe(true);
    expect(link.size).toBeLessThan(128);
  }
  shell.removeNote(path);
  shell.removeNote(path);
  expect(shell.readNote(path)).toBeNull();
});

test("a program that is stopped ends, and a missing one is reported", async () => {
  const stop = new AbortController();
  const running = shell.run(["sleep", "600"], stop.signal);
  stop.abort("SIGINT");
  expect((await running).code).not.toBe(0);
  expect(await shell.run(["/nowhere/at-all"])).toMatchObject({ code: 127 });
});
