/**
 * The manifests of packaging/kubernetes against the schemas that Kubernetes publishes: values by
 * its schemas, and unknown fields by its types. Also what no schema knows: that the memory fits,
 * and that the program takes the flags.
 */
import { afterAll, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DaemonSet } from "kubernetes-models/apps/v1/DaemonSet";
import { PodDisruptionBudget } from "kubernetes-models/policy/v1/PodDisruptionBudget";
import { Service } from "kubernetes-models/v1/Service";
import packageJson from "../../package.json" with { type: "json" };
import * as commands from "../../src/cli/commands.ts";
import { flagsOf } from "../../src/cli/flag-spec.ts";
import { FRAME_BYTES } from "../../src/core/limits.ts";
import { parseDuration, parseSize } from "../../src/core/units.ts";
import { ROOT } from "../checks/documents.ts";

const MANIFEST = join(ROOT, "packaging/kubernetes/ramster.yaml");
const MODELS = { Service, DaemonSet, PodDisruptionBudget } as const;
const PLACES: Readonly<Record<keyof typeof MODELS, string>> = {
  Service: "kubernetes-models/v1/Service",
  DaemonSet: "kubernetes-models/apps/v1/DaemonSet",
  PodDisruptionBudget: "kubernetes-models/policy/v1/PodDisruptionBudget",
};

interface Manifest {
  readonly kind: keyof typeof MODELS;
  readonly [key: string]: unknown;
}

const manifests = Bun.YAML.parse(readFileSync(MANIFEST, "utf8")) as Manifest[];
mkdirSync(join(ROOT, "dist"), { recursive: true });
const folder = mkdtempSync(join(ROOT, "dist/manifests-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** What the schemas find, or null. */
function fault({ kind, ...manifest }: Manifest): string | null {
  try {
    new MODELS[kind](manifest as never).validate();
    return null;
  } catch (error) {
    return (error as Error).message;
  }
}

/** What the compiler says of manifests that are written as literals of the types. */
async function typeErrors(all: readonly Manifest[]): Promise<string> {
  const lines = all.flatMap(({ kind, ...manifest }, i) => [
    `import type { I${kind} as T${i} } from "${PLACES[kind]}";`,
    `export const m${i}: T${i} = ${JSON.stringify({ ...manifest, kind })};`,
  ]);
  const path = join(folder, "manifests.ts");
  writeFileSync(path, lines.join("\n"));
  const flags = ["--noEmit", "--strict", "--skipLibCheck", "--ignoreConfig"];
  const module = ["--module", "Preserve", "--moduleResolution", "bundler"];
  const child = Bun.spawn([process.execPath, "x", "tsc", ...flags, ...module, path], {
    cwd: ROOT,
    stdout: "pipe",
  });
  return child.stdout.text();
}

function lender() {
  const found = manifests.find(({ kind }) => kind === "DaemonSet");
  const { spec } = new DaemonSet(found as never);
  const [container] = spec?.template.spec?.containers ?? [];
  if (container === undefined) throw new Error("there is no container");
  const value = (flag: string): string => {
    const start = `--${flag}=`;
    return container.args?.find((it) => it.startsWith(start))?.slice(start.length) ?? "";
  };
  return { spec, pod: spec?.template.spec, container, value };
}

describe("the manifests", () => {
  test("are what the schemas of Kubernetes allow", () => {
    expect(manifests.map(({ kind }) => kind)).toEqual([
      "Service",
      "DaemonSet",
      "PodDisruptionBudget",
    ]);
    expect(manifests.map(fault)).toEqual([null, null, null]);
  });

  test("have no field that Kubernetes does not know", async () => {
    expect(await typeErrors(manifests)).toBe("");
  });

  test("would be refused with a wrong value, or a field of a wrong name", async () => {
    const [service, daemons] = manifests as [Manifest, Manifest];
    const wrong = { ...daemons, spec: { ...(daemons["spec"] as object), selector: "ramster" } };
    expect(fault(wrong)).toContain("selector must be object");
    const misnamed = {
      ...service,
      spec: { ...(service["spec"] as object), publishNotReady: true },
    };
    expect(await typeErrors([misnamed])).toContain("publishNotReady");
  });
});

describe("a lender", () => {
  test("has room for its pages, their metadata and the process", () => {
    const { container, value } = lender();
    const { requests, limits } = container.resources ?? {};
    expect(requests?.["memory"]).toBe(limits?.["memory"] as string);
    const limitBytes = Number.parseInt(String(limits?.["memory"]), 10) * 1024 * 1024;
    const memoryBytes = parseSize(value("memory"), { min: 0, max: Number.MAX_SAFE_INTEGER });
    // Four zpages in a frame, with 53 bytes for each, and a process that is attacked: see
    // docs/operations.md, "Memory of a process".
    const metadataBytes = (memoryBytes / FRAME_BYTES) * 4 * 53;
    const processBytes = 145 * 1024 * 1024;
    expect(limitBytes).toBeGreaterThan(memoryBytes + metadataBytes + processBytes);
    expect(limitBytes).toBeLessThan(1.25 * memoryBytes);
  });

  test("is this version, with flags that it takes", () => {
    const { container } = lender();
    expect(container.image).toBe(`ramster:${packageJson.version}`);
    const [command, ...flags] = container.args ?? [];
    expect(command).toBe("server");
    const known = flagsOf(commands.server).map(({ name }) => `--${name}`);
    expect(flags.filter((flag) => !known.includes(flag.split("=")[0] ?? ""))).toEqual([]);
  });

  test("has time to move the pages of others away", () => {
    const { pod, value } = lender();
    const drainMs = parseDuration(value("drain-timeout"), { min: 0, max: Number.MAX_SAFE_INTEGER });
    expect((pod?.terminationGracePeriodSeconds ?? 0) * 1000).toBeGreaterThan(drainMs);
  });

  test("has no rights, and a key that a group of root's choice reads", () => {
    const { pod, container } = lender();
    expect(pod?.securityContext).toMatchObject({ runAsNonRoot: true, fsGroup: 65532 });
    expect(container.securityContext).toEqual({
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ["ALL"] },
    });
    const secret = pod?.volumes?.find(({ name }) => name === "key")?.secret;
    expect(secret?.defaultMode).toBe(0o400);
  });
});
