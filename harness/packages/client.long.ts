/**
 * The package of the client library as users on other runtimes and compilers see it: Node 20, 22
 * and 24, Deno and Bun, TypeScript with the strictest settings, publint and arethetypeswrong. Takes
 * the npm registry, where the runtimes come from.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { makeClientPackage, pack } from "../../packaging/client/package.ts";
import { ProcessWorld } from "../processes/process-world.ts";
import { ClientDoors } from "./client-doors.ts";
import { BUN, Consumer, NODE, type Runtime, SUITE_TESTS } from "./consumer.ts";

/** Runtimes of 100 MB each are downloaded first. */
const INSTALL_MS = 300_000;
const TEST_MS = 120_000;

const TOOLS = [
  "node22@npm:node@22.23.3",
  "node24@npm:node@24.9.0",
  "deno@2.9.6",
  "publint@0.3.25",
  "@arethetypeswrong/cli@0.18.5",
  "typescript5@npm:typescript@5.9.3",
  "typescript7@npm:typescript@7.0.2",
];

const TYPES_OF_NODE = "@types/node@24.19.4";

interface Stage {
  readonly world: ProcessWorld;
  readonly consumer: Consumer;
  readonly doors: ClientDoors;
}

/** What all tests share. */
const shared: { stage: Stage | null } = { stage: null };

function stage(): Stage {
  if (shared.stage === null) throw new Error("the stage is not set");
  return shared.stage;
}

beforeAll(async () => {
  const world = new ProcessWorld();
  const [consumer, doors] = await Promise.all([Consumer.open(world), ClientDoors.open(world)]);
  shared.stage = { world, consumer, doors };
  mkdirSync(world.path("tools"));
  writeFileSync(world.path("tools/package.json"), "{}");
  await consumer.install(TOOLS, world.path("tools"));
}, INSTALL_MS);

afterAll(async () => {
  await shared.stage?.world[Symbol.asyncDispose]();
});

/** A file of an installed tool. */
function tool(path: string): string {
  return join(stage().world.path("tools"), "node_modules", path);
}

const node22 = (): Runtime => [tool("node22/bin/node")];
const node24 = (): Runtime => [tool("node24/bin/node")];
const deno = (): Runtime => [tool(".bin/deno"), "run", "--allow-all"];

const RUNTIMES: readonly (readonly [name: string, runtime: () => Runtime])[] = [
  ["the Node of this machine", () => NODE],
  ["Node 22", node22],
  ["Node 24", node24],
  ["Deno", deno],
  ["Bun", () => BUN],
];

describe.each(RUNTIMES)("%s", (_, runtime) => {
  test(
    "passes the suite: on a unix socket, on a port, and with a key",
    async () => {
      for (const argv of stage().doors.all) {
        expect(await stage().consumer.suite(runtime(), argv)).toBe(SUITE_TESTS);
      }
    },
    TEST_MS,
  );

  test(
    "runs the examples in plain JavaScript",
    async () => {
      const run = (name: string): Promise<string> => {
        return stage().consumer.succeed([...runtime(), `examples/${name}`, stage().doors.unix]);
      };
      expect(await run("cache.mjs")).toBe("300 look-ups, 100 computed\n");
      expect(await run("spill.mjs")).toBe("16 MiB written and read, 0 words wrong\n");
    },
    TEST_MS,
  );
});

const MAP_OUTPUT = [
  "2 people",
  "ada: Ada Lovelace, 1815, 40000 characters",
  "grace: Grace Hopper, 1906, 3 characters",
];

/** What the example prints, sorted: a map has no order. */
async function mapOutput(runtime: Runtime, path: string): Promise<string[]> {
  const [, , secured = []] = stage().doors.all;
  const [address = "", key = ""] = secured;
  const printed = await stage().consumer.succeed([...runtime, path, address, key]);
  return printed.trim().split("\n").sort();
}

describe("TypeScript", () => {
  const STRICT = {
    strict: true,
    skipLibCheck: false,
    exactOptionalPropertyTypes: true,
    noUncheckedIndexedAccess: true,
    noPropertyAccessFromIndexSignature: true,
    verbatimModuleSyntax: true,
    isolatedModules: true,
    target: "ES2022",
    lib: ["ES2022"],
    types: [],
    outDir: "out",
  };

  /** Compiles files of the consumer. Rejects with what the compiler says. */
  async function compile(
    compiler: string,
    files: readonly string[],
    options: object,
  ): Promise<void> {
    const config = { compilerOptions: { ...STRICT, ...options }, files };
    writeFileSync(join(stage().consumer.folder, "tsconfig.json"), JSON.stringify(config));
    await stage().consumer.succeed([...node24(), tool(`${compiler}/bin/tsc`), "-p", "."]);
  }

  test.each(["typescript5", "typescript7"])(
    "%s takes the declarations with the strictest settings, whatever else is there",
    async (compiler) => {
      const { consumer } = stage();
      const program = "client-consumer.ts";
      copyFileSync(join(import.meta.dir, program), join(consumer.folder, program));
      const nodenext = { module: "nodenext", moduleResolution: "nodenext" };
      const bundler = { module: "esnext", moduleResolution: "bundler" };
      await compile(compiler, [program], nodenext);
      await compile(compiler, [program], bundler);
      await compile(compiler, [program], { ...nodenext, lib: ["ESNext", "DOM"] });
      // With the types of Node, and signals of its own.
      await consumer.install([TYPES_OF_NODE]);
      const withNode = { types: ["node"], lib: ["ESNext"], target: "ESNext" };
      writeFileSync(
        join(consumer.folder, "signals.ts"),
        'import { connect } from "@ramster/client";\n' +
          'export const it = connect("unix:s", { signal: AbortSignal.timeout(7) });\n',
      );
      await compile(compiler, [program, "signals.ts"], { ...nodenext, ...withNode });
      await compile(compiler, ["signals.ts"], { ...nodenext, lib: ["ESNext", "DOM"] });
    },
    TEST_MS,
  );

  test(
    "the example runs on Node 24, Deno and Bun as it is, and compiled on the others",
    async () => {
      for (const runtime of [node24(), deno(), BUN]) {
        expect(await mapOutput(runtime, "examples/map.ts")).toEqual(MAP_OUTPUT);
      }
      await stage().consumer.install([TYPES_OF_NODE]);
      const lib = ["ES2022", "ESNext.Disposable"];
      const options = { module: "nodenext", rootDir: ".", types: ["node"], lib };
      await compile("typescript7", ["examples/map.ts"], options);
      for (const runtime of [NODE, node22()]) {
        expect(await mapOutput(runtime, "out/examples/map.js")).toEqual(MAP_OUTPUT);
      }
    },
    TEST_MS,
  );
});

describe("the tarball", () => {
  test(
    "passes publint and arethetypeswrong",
    async () => {
      const { consumer } = stage();
      const publint = await consumer.succeed([
        ...[...node24(), tool(".bin/publint"), consumer.tarball, "--strict"],
      ]);
      expect(publint).toContain("All good!");
      // A module of ECMAScript alone. Node 20.19 and later load it with require() as well.
      const attw = [...node24(), tool(".bin/attw"), consumer.tarball, "--profile", "esm-only"];
      expect(await consumer.succeed(attw)).toContain("@ramster/client");
    },
    TEST_MS,
  );

  test(
    "is the same each time that it is made",
    async () => {
      const { world, consumer } = stage();
      await makeClientPackage(world.path("again"));
      mkdirSync(world.path("second"));
      const second = pack(world.path("again"), world.path("second"));
      expect(Bun.hash(readFileSync(second))).toBe(Bun.hash(readFileSync(consumer.tarball)));
    },
    TEST_MS,
  );

  test("has the version of this project, and needs no other package", () => {
    const read = (path: string) => JSON.parse(readFileSync(path, "utf8"));
    const { version, dependencies, name } = read(stage().consumer.installed("package.json"));
    expect({ name, dependencies }).toEqual({ name: "@ramster/client", dependencies: undefined });
    expect(version).toBe(read(join(import.meta.dir, "../../package.json")).version);
  });
});
