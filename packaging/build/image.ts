/**
 * Makes an image in the layout of OCI, for both machines, as one archive: skopeo, podman, umoci and
 * registries take it. It starts as a lender, as a user without rights.
 *
 *     index.json -> index -> manifest of each machine -> config
 *                                                    '-> layers: libraries, program
 */
import { createHash } from "node:crypto";
import { chmodSync, cpSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { unpackBase } from "./base.ts";
import { gzip } from "./content.ts";
import { LICENSE, MACHINES, type Machine, NAME, type Release, SUMMARY } from "./release.ts";
import { run } from "./run.ts";
import { tarFlags } from "./tarball.ts";

const MEDIA = "application/vnd.oci.image";
/** The user that images without root use by custom. */
const USER = 65532;
const ENTRYPOINT = ["/usr/bin/ramster"];
/** Only this container may connect, until --listen and --key say more. */
const COMMAND = ["server", "--client", "unix:/run/ramster/server.sock", "--http", "127.0.0.1:9100"];

interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
}

interface Layer {
  readonly descriptor: Descriptor;
  /** The digest of the archive before it was compressed. */
  readonly diffId: string;
}

/** @returns the name of the file in `out`. */
export async function makeImage(
  programs: ReadonlyMap<string, string>,
  release: Release,
  { work, out }: { work: string; out: string },
): Promise<string> {
  const layout = new Layout(join(work, "oci"));
  const manifests = [];
  for (const machine of MACHINES) {
    const program = programs.get(machine.debian) ?? "";
    const manifest = await imageOf(layout, machine, program, release, work);
    const platform = { os: "linux", architecture: machine.debian };
    manifests.push({ ...manifest, platform });
  }
  const index = layout.json(`${MEDIA}.index.v1+json`, {
    schemaVersion: 2,
    mediaType: `${MEDIA}.index.v1+json`,
    manifests,
  });
  layout.finish(index, `${NAME}:${release.version}`);
  const name = `${NAME}-${release.version}.oci.tar`;
  const files = ["--directory", layout.folder, "blobs", "index.json", "oci-layout"];
  const modes = "--mode=u=rwX,go=rX";
  await run(["tar", "--create", modes, ...tarFlags(release), "--file", join(out, name), ...files]);
  return name;
}

async function imageOf(
  layout: Layout,
  machine: Machine,
  program: string,
  release: Release,
  work: string,
): Promise<Descriptor> {
  const base = join(work, `base-${machine.debian}`);
  writeRoot(base);
  const versions = await unpackBase(machine, base, work);
  const top = join(work, `top-${machine.debian}`);
  mkdirSync(join(top, "usr/bin"), { recursive: true });
  cpSync(program, join(top, "usr/bin/ramster"));
  chmodSync(join(top, "usr/bin/ramster"), 0o755);
  mkdirSync(join(top, "run/ramster"), { recursive: true });
  chmodSync(join(top, "run/ramster"), 0o700);
  const layers = [
    await layerOf(layout, base, release, []),
    // The user of the image makes its socket in /run/ramster.
    await layerOf(layout, top, release, ["run/ramster"]),
  ];
  const created = new Date(release.epoch * 1000).toISOString();
  const labels = {
    "org.opencontainers.image.title": NAME,
    "org.opencontainers.image.description": SUMMARY,
    "org.opencontainers.image.version": release.version,
    "org.opencontainers.image.licenses": LICENSE,
    "org.opencontainers.image.base.name": "debian:bookworm",
    ...Object.fromEntries([...versions].map(([name, version]) => [`debian.${name}`, version])),
  };
  const config = layout.json(`${MEDIA}.config.v1+json`, {
    created,
    architecture: machine.debian,
    os: "linux",
    config: {
      User: `${USER}:${USER}`,
      ExposedPorts: { "7777/tcp": {}, "7946/tcp": {}, "7946/udp": {} },
      Env: ["PATH=/usr/bin", "RAMSTER_CLIENT=unix:/run/ramster/server.sock"],
      Entrypoint: ENTRYPOINT,
      Cmd: COMMAND,
      WorkingDir: "/",
      StopSignal: "SIGTERM",
      Labels: labels,
    },
    rootfs: { type: "layers", diff_ids: layers.map(({ diffId }) => diffId) },
    history: [
      { created, created_by: "libraries of Debian" },
      { created, created_by: NAME },
    ],
  });
  return layout.json(`${MEDIA}.manifest.v1+json`, {
    schemaVersion: 2,
    mediaType: `${MEDIA}.manifest.v1+json`,
    config,
    layers: layers.map(({ descriptor }) => descriptor),
    annotations: labels,
  });
}

/** Folders as Debian has them, and the user. */
function writeRoot(folder: string): void {
  for (const path of ["usr/lib", "usr/lib64", "usr/bin", "etc", "run", "proc", "sys", "dev"]) {
    mkdirSync(join(folder, path), { recursive: true });
  }
  mkdirSync(join(folder, "tmp"));
  chmodSync(join(folder, "tmp"), 0o1777);
  for (const name of ["lib", "lib64"]) symlinkSync(`usr/${name}`, join(folder, name));
  const files = {
    "etc/passwd": `root:x:0:0::/:/sbin/nologin\nramster:x:${USER}:${USER}::/:/sbin/nologin\n`,
    "etc/group": `root:x:0:\nramster:x:${USER}:\n`,
    "etc/nsswitch.conf": "hosts: files dns\n",
  };
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  }
}

/** `own`: folders that belong to the user of the image. */
async function layerOf(
  layout: Layout,
  folder: string,
  release: Release,
  own: readonly string[],
): Promise<Layer> {
  const excluded = own.map((path) => `--exclude=./${path}`);
  const flags = ["--create", "--directory", folder, ...tarFlags(release)];
  const path = `${folder}.tar`;
  await run(["tar", ...flags, ...excluded, "--file", path, "."]);
  if (own.length > 0) {
    const owner = [`--owner=:${USER}`, `--group=:${USER}`, "--numeric-owner"];
    const more = ["--append", "--directory", folder, ...tarFlags(release), ...owner];
    await run(["tar", ...more, "--file", path, ...own.map((it) => `./${it}`)]);
  }
  const archive = await Bun.file(path).bytes();
  const descriptor = layout.blob(`${MEDIA}.layer.v1.tar+gzip`, gzip(archive));
  return { descriptor, diffId: digestOf(archive) };
}

/** The folder of a layout: each blob is in a file that is named for its hash. */
class Layout {
  readonly folder: string;

  constructor(folder: string) {
    this.folder = folder;
    mkdirSync(join(folder, "blobs/sha256"), { recursive: true });
  }

  blob(mediaType: string, bytes: Uint8Array): Descriptor {
    const digest = digestOf(bytes);
    writeFileSync(join(this.folder, "blobs", digest.replace(":", "/")), bytes);
    return { mediaType, digest, size: bytes.byteLength };
  }

  json(mediaType: string, value: unknown): Descriptor {
    return this.blob(mediaType, Buffer.from(JSON.stringify(value)));
  }

  finish(index: Descriptor, tag: string): void {
    const annotations = { "org.opencontainers.image.ref.name": tag };
    const manifests = [{ ...index, annotations }];
    const text = JSON.stringify({ schemaVersion: 2, manifests });
    writeFileSync(join(this.folder, "index.json"), text);
    writeFileSync(join(this.folder, "oci-layout"), '{"imageLayoutVersion":"1.0.0"}');
  }
}

function digestOf(bytes: Uint8Array): string {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}
