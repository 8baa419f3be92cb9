/**
 * GuestImage: a stock Linux kernel and an initramfs that makes it swap. Both are built once and
 * kept in the directory for temporary files.
 *
 *     Debian's cloud kernel, unpacked and not installed ---> vmlinuz, modules
 *     busybox, nbd-client, swapon and their libraries, scripts, walk.c compiled ---> initramfs.gz
 *
 * The names have a hash of their sources, so a changed source makes a new build.
 *
 * This file also builds walk alone, for the kernel of this machine (host-swap.sh).
 *
 * Not here: booting the image (guest.ts).
 */
import { createHash } from "node:crypto";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { which } from "../processes/tools.ts";

export interface GuestImage {
  readonly kernel: string;
  readonly initramfs: string;
}

/** In order of dependency. Names without their folder. */
const MODULES = [
  "virtio_ring",
  "virtio",
  "virtio_pci_legacy_dev",
  "virtio_pci_modern_dev",
  "virtio_pci",
  "virtio_blk",
  "failover",
  "net_failover",
  "virtio_net",
  "nbd",
];
/** These depend on the kernel's version. */
const KERNEL_PACKAGE = "linux-image-cloud-amd64";

/** Scripts that the guest runs as commands, and all files of this folder that make the initramfs. */
const COMMANDS = ["swap-command.sh", "full-memory.sh", "killed-node.sh", "standby.sh"];
const SCRIPTS = ["init.sh", ...COMMANDS, "walk.c", "image.ts"];
/** The programs of this system that go into the initramfs. */
const SYSTEM_PROGRAMS = ["nbd-client", "mkswap", "swaplabel", "swapon", "swapoff", "blkdiscard"];

/** The Debian package of each program. */
const TOOLS = {
  "qemu-system-x86_64": "qemu-system-x86",
  busybox: "busybox-static",
  cpio: "cpio",
  gcc: "gcc libc6-dev",
  "nbd-client": "nbd-client",
  "apt-get": "apt",
  "dpkg-deb": "dpkg",
  mkswap: "util-linux",
  blkdiscard: "util-linux",
  swaplabel: "util-linux",
  swapon: "mount",
} as const;

/** Why no guest can run on this machine, or null. */
export function noGuestReason(): string | null {
  if (process.arch !== "x64" || process.platform !== "linux") return "the guest needs x86-64 Linux";
  const missing = Object.entries(TOOLS).filter(([program]) => which(program) === null);
  if (missing.length === 0) return null;
  return `apt-get install ${missing.map(([, name]) => name).join(" ")}`;
}

/** Builds the image, or takes the existing one. Rejects where no kernel is available. */
export async function guestImage(): Promise<GuestImage> {
  const { home, kernelHome, packageName, version, kernel } = await guestKernel();
  const recipe = SCRIPTS.map((name) => readFileSync(join(import.meta.dir, name)));
  const hash = createHash("sha256").update(packageName);
  for (const part of [...recipe, ...MODULES]) hash.update(part);
  const name = `initramfs-${hash.digest("hex").slice(0, 16)}`;
  const contents = { modules: join(kernelHome, "lib/modules", version), program: null };
  const built = await kept(home, name, (folder) => pack(contents, folder));
  return { kernel, initramfs: join(built, "initramfs.gz") };
}

/** An image with `program`, the compiled ramster. It is built in `folder` and not kept. */
export async function guestImageWith(program: string, folder: string): Promise<GuestImage> {
  const { kernelHome, version, kernel } = await guestKernel();
  await pack({ modules: join(kernelHome, "lib/modules", version), program }, folder);
  return { kernel, initramfs: join(folder, "initramfs.gz") };
}

async function guestKernel() {
  const home = join(tmpdir(), "ramster-guest");
  mkdirSync(home, { recursive: true });
  const packageName = await kernelPackage();
  const kernelHome = await kept(home, packageName, (folder) => unpack(packageName, folder));
  const version = packageName.replace(/^linux-image-/, "");
  const kernel = join(kernelHome, `boot/vmlinuz-${version}`);
  return { home, kernelHome, packageName, version, kernel };
}

/** The path of walk, compiled. */
export async function walkProgram(): Promise<string> {
  const home = join(tmpdir(), "ramster-guest");
  mkdirSync(home, { recursive: true });
  const source = join(import.meta.dir, "walk.c");
  const hash = createHash("sha256").update(readFileSync(source)).digest("hex");
  const folder = await kept(home, `walk-${hash.slice(0, 16)}`, async (partial) => {
    await compile(join(partial, "walk"));
  });
  return join(folder, "walk");
}

async function compile(path: string): Promise<void> {
  const source = join(import.meta.dir, "walk.c");
  await output(["gcc", "-static", "-O2", "-Wall", "-Werror", "-o", path, source]);
}

/** The folder `name` with what `make` put there. It never exists with only a part of that. */
async function kept(
  home: string,
  name: string,
  make: (folder: string) => Promise<void>,
): Promise<string> {
  const folder = join(home, name);
  if (existsSync(folder)) return folder;
  const partial = mkdtempSync(join(home, "partial-"));
  try {
    await make(partial);
    renameSync(partial, folder);
  } catch (error) {
    rmSync(partial, { recursive: true, force: true });
    if (!existsSync(folder)) throw error; // Otherwise another process was faster.
  }
  return folder;
}

async function kernelPackage(): Promise<string> {
  const text = await output(["apt-cache", "depends", KERNEL_PACKAGE]);
  const name = /Depends: (linux-image-\S+-cloud-amd64)$/m.exec(text)?.[1];
  if (name === undefined)
    throw new Error(`${KERNEL_PACKAGE} depends on no kernel: run apt-get update`);
  return name;
}

async function unpack(packageName: string, folder: string): Promise<void> {
  await output(["apt-get", "download", packageName], folder);
  const deb = readdirSync(folder).find((name) => name.endsWith(".deb")) ?? "";
  const wanted = ["--wildcards", "./boot/vmlinuz-*", ...MODULES.map((it) => `*/${it}.ko`)];
  const line = `dpkg-deb --fsys-tarfile "$0" | tar -x "$@"`;
  await output(["sh", "-c", line, deb, ...wanted], folder);
  rmSync(join(folder, deb));
}

interface Contents {
  /** The folder that contains them, at any depth. */
  readonly modules: string;
  readonly program: string | null;
}

async function pack({ modules, program }: Contents, folder: string): Promise<void> {
  const root = join(folder, "root");
  const put = (source: string, path: string): void => {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    copyFileSync(source, join(root, path));
  };
  put(join(import.meta.dir, "init.sh"), "init");
  put(which("busybox") ?? "", "bin/busybox");
  await compile(join(root, "bin/walk"));
  for (const name of COMMANDS) put(join(import.meta.dir, name), `bin/${name}`);
  const programs: [from: string, to: string][] = SYSTEM_PROGRAMS.map((name) => {
    return [which(name) ?? "", `sbin/${name}`];
  });
  if (program !== null) programs.push([program, "bin/ramster"]);
  for (const [source, path] of programs) {
    put(source, path);
    for (const library of await librariesOf(source)) put(library, library.slice(1));
  }
  const found = await output(["find", modules, "-name", "*.ko"]);
  for (const path of found.trim().split("\n")) put(path, `modules/${basename(path)}`);
  writeFileSync(join(root, "modules/order"), `${MODULES.join("\n")}\n`);
  const executables = ["init", "bin/busybox", ...COMMANDS.map((name) => `bin/${name}`)];
  await output(["chmod", "755", ...executables.map((it) => join(root, it))]);
  const archive = join(folder, "initramfs.gz");
  const line = `find . | cpio --quiet -o -H newc -R 0:0 | gzip -1 > "$0"`;
  await output(["sh", "-c", line, archive], root);
  rmSync(root, { recursive: true });
}

/** The loader and the libraries of a program, as absolute paths. */
async function librariesOf(program: string): Promise<string[]> {
  const text = await output(["ldd", program]);
  return [...text.matchAll(/(\/\S+) \(0x/g)].map((match) => match[1] ?? "");
}

async function output(argv: readonly string[], cwd?: string): Promise<string> {
  const pipes = { stdin: "ignore", stdout: "pipe", stderr: "pipe" } as const;
  const child = Bun.spawn([...argv], { ...pipes, ...(cwd === undefined ? {} : { cwd }) });
  const [text, errors] = await Promise.all([child.stdout.text(), child.stderr.text()]);
  const code = await child.exited;
  if (code === 0) return text;
  throw new Error(`"${argv.join(" ")}" ended with ${code}: ${errors.trim()}`);
}
