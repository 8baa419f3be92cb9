/**
 * What `bun run packages` makes: the same bytes from another clone, the files and their rights,
 * manual pages that the tools of others accept, what is bundled, and an image that starts as a
 * lender.
 */
import { afterAll, describe, expect, test } from "bun:test";
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Version } from "@cyclonedx/cyclonedx-library/Spec";
import { JsonStrictValidator } from "@cyclonedx/cyclonedx-library/Validation";
import packageJson from "../../package.json" with { type: "json" };
import { ROOT } from "../checks/documents.ts";
import { ended, PROGRAM, until } from "../processes/process-world.ts";
import { areToolsRequired, TOOL_ENVIRONMENT, which } from "../processes/tools.ts";
import { build, PACKAGES, packagePath, sumsIn } from "./built.ts";

const { version } = packageJson;
const BUILD_MS = 600_000;
const folder = mkdtempSync(join(tmpdir(), "ramster-build-"));
afterAll(() => rmSync(folder, { recursive: true }));

const isMissing = (...tools: string[]): boolean => {
  return !areToolsRequired && tools.some((tool) => which(tool) === null);
};

/** What a program prints. Throws when it fails. */
async function output(...argv: string[]): Promise<string> {
  const child = Bun.spawn(argv, {
    env: { ...TOOL_ENVIRONMENT, LC_ALL: "C.UTF-8", MANWIDTH: "80" },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const { stdout, stderr, code } = await ended(child);
  if (code !== 0) throw new Error(`${argv.join(" ")} ended with ${code}: ${stderr}${stdout}`);
  return `${stdout}${stderr}`;
}

const set = describe.skipIf(isMissing("dpkg-deb", "rpmbuild", "apt-get"));

set("packages", () => {
  test(
    "have the same bytes from another clone of the same files",
    () => {
      packagePath("_amd64.deb");
      const clone = join(folder, "elsewhere", "clone");
      mkdirSync(clone, { recursive: true });
      const files = Bun.spawnSync(["git", "ls-files", "-z"], { cwd: ROOT }).stdout.toString();
      for (const file of files.split("\0").filter((it) => it !== "")) {
        cpSync(join(ROOT, file), join(clone, file));
      }
      cpSync(join(ROOT, ".git"), join(clone, ".git"), { recursive: true });
      cpSync(join(ROOT, "node_modules"), join(clone, "node_modules"), { recursive: true });
      build(clone, join(folder, "again"));
      expect(sumsIn(join(folder, "again"))).toBe(sumsIn(PACKAGES));
    },
    BUILD_MS,
  );

  test(
    "have sums that sha256sum accepts",
    async () => {
      packagePath("_amd64.deb");
      const child = Bun.spawn(["sha256sum", "--check", "--strict", "SHA256SUMS"], {
        cwd: PACKAGES,
        stdout: "pipe",
      });
      const lines = (await child.stdout.text()).trim().split("\n");
      expect(await child.exited).toBe(0);
      expect(lines.length).toBe(9);
    },
    BUILD_MS,
  );
});

set.each(["amd64", "arm64"])("the .deb of %s", (machine) => {
  const path = (): string => packagePath(`_${machine}.deb`);

  test(
    "has what it needs, and the whole program",
    async () => {
      const fields = await output("dpkg-deb", "--field", path());
      expect(fields).toContain(`Version: ${version}\nArchitecture: ${machine}\n`);
      expect(fields).toContain("Depends: libc6 (>= 2.17), systemd | ");
      const tree = join(folder, machine);
      await output("dpkg-deb", "--extract", path(), tree);
      // Stripped, it would be the runtime alone, and 10 MB smaller.
      const program = join(tree, "usr/bin/ramster");
      expect(readFileSync(program).includes("pers_pages_remoted")).toBe(true);
      expect(statSync(program).mode & 0o7777).toBe(0o755);
      const symbols = await output("readelf", "--version-info", program);
      const versions = [...symbols.matchAll(/GLIBC_2.(\d+)/g)].map(([, it]) => Number(it));
      expect(Math.max(...versions)).toBeLessThanOrEqual(17);
    },
    BUILD_MS,
  );

  test(
    "belongs to root, and nobody else writes to it",
    async () => {
      const lines = (await output("dpkg-deb", "--contents", path())).trim().split("\n");
      expect(lines.length).toBeGreaterThan(60);
      expect(lines.filter((line) => !/^[d-]rw[x-]r-[x-]r-[x-] root\/root /.test(line))).toEqual([]);
    },
    BUILD_MS,
  );
});

// One of them is enough: both have the same scripts and documents, and it takes a while.
set("a .deb", () => {
  test.skipIf(isMissing("lintian"))(
    "has no fault that lintian finds",
    async () => {
      const lintian = ["lintian", "--allow-root", "--fail-on=none"];
      expect((await output(...lintian, packagePath("_amd64.deb"))).trim()).toBe("");
    },
    BUILD_MS,
  );
});

set.each(["x86_64", "aarch64"])("the .rpm of %s", (machine) => {
  test(
    "has the same files as the .deb, and the whole program",
    async () => {
      const path = packagePath(`.${machine}.rpm`);
      const about = await output("rpm", "-qp", "--qf", "%{ARCH} %{BUILDHOST} %{SIZE}", path);
      const [arch, host, size] = about.split(" ");
      expect([arch, host]).toEqual([machine, "localhost"]);
      expect(Number(size)).toBeGreaterThan(110_000_000);
      const files = (await output("rpm", "-qlp", path)).trim().split("\n");
      expect(files).toContain("/usr/lib/systemd/system/ramster-server.service");
      expect(files).toContain("/usr/share/zsh/site-functions/_ramster");
      expect(files).toContain("/etc/ramster");
      expect(files.filter((file) => file.includes(".build-id"))).toEqual([]);
      const scripts = await output("rpm", "-qp", "--scripts", path);
      expect(scripts).toContain("ramster_removing; fi");
    },
    BUILD_MS,
  );
});

set("manual pages", () => {
  const pages = async (): Promise<string[]> => {
    const tree = join(folder, "pages");
    mkdirSync(tree, { recursive: true });
    await output("dpkg-deb", "--extract", packagePath("_amd64.deb"), tree);
    return [...new Bun.Glob("usr/share/man/**/*.gz").scanSync(tree)].sort().map((it) => {
      return join(tree, it);
    });
  };

  test(
    "are there for each command, and for the configuration",
    async () => {
      const names = (await pages()).map((path) => path.replace(/^.*\//, "").replace(".gz", ""));
      const expected = ["ramster.1", "ramster.conf.5"];
      const commands = (await output(PROGRAM[0] ?? "", "complete", "")).matchAll(/^([a-z]+)\t/gm);
      for (const [, name] of commands) if (name !== "help") expected.push(`ramster-${name}.1`);
      expect(names.sort()).toEqual(expected.sort());
    },
    BUILD_MS,
  );

  test.skipIf(isMissing("mandoc", "man"))(
    "have no fault that mandoc or man finds",
    async () => {
      // mandoc reads only the first of several compressed files.
      const all = (await pages()).map((path) => {
        const text = join(folder, path.replace(/^.*\//, "").replace(".gz", ""));
        writeFileSync(text, Bun.gunzipSync(readFileSync(path)));
        return text;
      });
      expect(await output("mandoc", "-T", "lint", "-W", "warning", ...all)).toBe("");
      for (const path of all) {
        const words = ["--warnings=w", "--encoding=UTF-8", "--local-file"];
        const child = Bun.spawn(["man", ...words, path], {
          env: { ...TOOL_ENVIRONMENT, LC_ALL: "C.UTF-8", MANWIDTH: "80", MANPAGER: "cat" },
          stdout: "ignore",
          stderr: "pipe",
        });
        expect(await child.stderr.text()).toBe("");
        expect(await child.exited).toBe(0);
      }
    },
    BUILD_MS,
  );
});

set("what is bundled", () => {
  interface Component {
    readonly name: string;
    readonly version: string;
    readonly purl: string;
    readonly type: string;
    readonly hashes?: readonly { readonly content: string }[];
  }
  const read = (): { components: Component[]; metadata: { timestamp: string } } => {
    return JSON.parse(readFileSync(packagePath(".cdx.json"), "utf8"));
  };

  test(
    "is written as the schema of CycloneDX wants it",
    async () => {
      const validator = new JsonStrictValidator(Version.v1dot6);
      expect(await validator.validate(readFileSync(packagePath(".cdx.json"), "utf8"))).toBeNull();
      expect(await validator.validate('{"bomFormat": "CycloneDX"}')).not.toBeNull();
    },
    BUILD_MS,
  );

  test(
    "is Bun, and the packages that the program uses, with their hashes",
    () => {
      const { components } = read();
      const names = components.map(({ purl }) => purl.replace(/^pkg:npm\/(.*)@.*$/, "$1"));
      const used = Object.keys(packageJson.dependencies).map((name) => name.replace("@", "%40"));
      expect(names).toEqual(expect.arrayContaining([...used, "bun", "tslib"]));
      const unused = Object.keys(packageJson.devDependencies);
      expect(names.filter((name) => unused.includes(name))).toEqual([]);
      const libraries = components.filter(({ type }) => type === "library");
      expect(libraries.every(({ hashes }) => hashes?.[0]?.content.length === 128)).toBe(true);
      expect(components.at(-1)).toMatchObject({ name: "bun", version: Bun.version });
    },
    BUILD_MS,
  );

  test(
    "has its licence in one file",
    () => {
      const text = readFileSync(packagePath("THIRD-PARTY-LICENSES"), "utf8");
      for (const { name, version: its } of read().components) {
        expect(text).toMatch(new RegExp(`^.*${name} ${its}: [\\w.-]+$`, "m"));
      }
      expect(text).toContain("JavaScriptCore");
    },
    BUILD_MS,
  );
});

set("the image", () => {
  test.skipIf(isMissing("skopeo"))(
    "is for both machines, and starts without rights",
    async () => {
      const from = `oci-archive:${packagePath(".oci.tar")}:ramster:${version}`;
      for (const machine of ["amd64", "arm64"]) {
        const text = await output(
          "skopeo",
          "inspect",
          "--config",
          "--override-arch",
          machine,
          from,
        );
        expect(JSON.parse(text)).toMatchObject({
          architecture: machine,
          config: { User: "65532:65532", Entrypoint: ["/usr/bin/ramster"] },
        });
      }
    },
    BUILD_MS,
  );

  test.skipIf(isMissing("podman") || process.getuid?.() !== 0)(
    "is loaded by podman, which runs it where it may",
    async () => {
      const store = ["--root", join(folder, "store"), "--runroot", join(folder, "running")];
      const podman = ["podman", ...store, "--storage-driver=vfs", "--cgroup-manager=cgroupfs"];
      await output(...podman, "load", "--quiet", "--input", packagePath(".oci.tar"));
      const apart = ["--rm", "--network=none", "--cgroups=disabled"];
      const child = Bun.spawn([...podman, "run", ...apart, `ramster:${version}`, "version"], {
        env: TOOL_ENVIRONMENT,
        stdin: "ignore",
        stdout: "pipe",
        stderr: "pipe",
      });
      const { stdout, stderr } = await ended(child);
      await output(...podman, "system", "reset", "--force");
      // Inside of a virtual machine or a container, limits of processes may not be set.
      if (!stderr.includes("Operation not permitted")) {
        expect(stdout).toStartWith(`ramster ${version}, `);
      }
    },
    BUILD_MS,
  );

  test.skipIf(isMissing("skopeo", "umoci") || process.getuid?.() !== 0)(
    "unpacked by umoci, it starts as a lender and answers",
    async () => {
      const from = `oci-archive:${packagePath(".oci.tar")}:ramster:${version}`;
      const [layout, bundle] = [join(folder, "layout"), join(folder, "bundle")];
      await output("skopeo", "copy", from, `oci:${layout}:ramster`);
      await output("umoci", "unpack", "--image", `${layout}:ramster`, bundle);
      const { process: started } = JSON.parse(readFileSync(join(bundle, "config.json"), "utf8"));
      const { uid, gid } = started.user;
      expect([uid, gid]).toEqual([65532, 65532]);
      // Namespaces of its own, as a container has them: its ports meet no others.
      const script = [
        `cd ${bundle}/rootfs`,
        "mount -t proc proc proc && mount --rbind /dev dev && mount --rbind /sys sys",
        "ip link set lo up",
        'chroot --userspec="$1" . /usr/bin/ramster version',
        'shift; exec chroot --userspec=65532:65532 . "$@"',
      ].join("\n");
      const apart = ["--mount", "--net", "--pid", "--fork", "--kill-child", "--propagation=slave"];
      const child = Bun.spawn(
        ["unshare", ...apart, "sh", "-ec", script, "sh", `${uid}:${gid}`, ...started.args],
        { env: TOOL_ENVIRONMENT, stdin: "ignore", stdout: "pipe", stderr: "pipe" },
      );
      try {
        const reader = child.stdout.getReader();
        let text = "";
        while (!text.includes("\nready ")) {
          const { value, done } = await reader.read();
          if (done) throw new Error(`it does not start: ${text}${await child.stderr.text()}`);
          text += new TextDecoder().decode(value);
        }
        expect(text).toStartWith(`ramster ${version}, `);
        const inside = ["nsenter", "--net", `--target=${child.pid}`];
        await until("it answers", async () => {
          const request = ["curl", "-sf", "http://127.0.0.1:9100/readyz"];
          const asked = Bun.spawn([...inside, ...request], { stdout: "ignore", stderr: "ignore" });
          return (await asked.exited) === 0;
        });
      } finally {
        child.kill("SIGKILL");
        await child.exited;
      }
    },
    BUILD_MS,
  );
});
