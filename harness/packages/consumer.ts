/**
 * Consumer: a folder outside of this project where the packed client library is installed, as a
 * user installs it, and the runtimes that run what is in it.
 */
import { copyFileSync, cpSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ended, type ProcessWorld } from "../processes/process-world.ts";
import { CLIENT_NAME, makeClientPackage, pack } from "./client-package.ts";

const SUITE = join(import.meta.dir, "client-suite.mjs");

/** The command that runs a script, without the script. */
export type Runtime = readonly string[];

export const BUN: Runtime = [process.execPath];

export class Consumer {
  readonly folder: string;
  readonly tarball: string;
  private readonly world: ProcessWorld;

  private constructor(world: ProcessWorld, tarball: string) {
    this.world = world;
    this.folder = world.path("consumer");
    this.tarball = tarball;
  }

  /** Makes, packs and installs the package. */
  static async open(world: ProcessWorld): Promise<Consumer> {
    await makeClientPackage(world.path("package"));
    const consumer = new Consumer(world, pack(world.path("package"), world.directory));
    mkdirSync(consumer.folder);
    writeFileSync(join(consumer.folder, "package.json"), '{ "type": "module", "private": true }\n');
    await consumer.install([consumer.tarball]);
    copyFileSync(SUITE, join(consumer.folder, "client-suite.mjs"));
    // A user copies an example: Node runs no TypeScript in a folder of packages.
    const examples = join(consumer.folder, "node_modules", CLIENT_NAME, "examples");
    cpSync(examples, join(consumer.folder, "examples"), { recursive: true });
    return consumer;
  }

  /** Installs packages with npm. Some fetch a program with a script of their own. */
  async install(packages: readonly string[]): Promise<void> {
    const flags = ["--no-audit", "--no-fund", "--ignore-scripts=false"];
    await this.succeed(["npm", "install", ...flags, ...packages]);
  }

  /** Runs a command in the folder. @returns what it printed. */
  async succeed(command: readonly string[]): Promise<string> {
    const inFolder = ["sh", "-c", 'cd "$0" && exec "$@"', this.folder, ...command];
    const { stdout, stderr, code } = await ended(this.world.spawnCommand(inFolder));
    if (code === 0) return stdout;
    throw new Error(`${command.join(" ")} ended with ${code}:\n${stdout}${stderr}`);
  }

  /** Runs the suite. @returns how many tests have passed. */
  async suite(runtime: Runtime, ...argv: readonly string[]): Promise<number> {
    const printed = await this.succeed([...runtime, "client-suite.mjs", ...argv]);
    return Number(/^passed: (\d+)$/m.exec(printed)?.[1]);
  }
}
