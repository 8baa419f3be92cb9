/**
 * Consumer: a folder outside of this project where the packed client library is installed, as a
 * user installs it, and the runtimes that run what is in it.
 */
import { copyFileSync, cpSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { CLIENT_NAME, makeClientPackage, pack } from "../../packaging/client/package.ts";
import { ended, type ProcessWorld } from "../processes/process-world.ts";

const SUITE = join(import.meta.dir, "client-suite.mjs");
/** How many tests it has. */
export const SUITE_TESTS = 13;

/** The command that runs a script, without the script. */
export type Runtime = readonly string[];

export const BUN: Runtime = [process.execPath];
/** The Node of this machine. */
export const NODE: Runtime = ["node"];

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
    const examples = join(consumer.folder, "examples");
    cpSync(consumer.installed("examples"), examples, { recursive: true });
    return consumer;
  }

  /** A file of the installed package. */
  installed(name: string): string {
    return join(this.folder, "node_modules", CLIENT_NAME, name);
  }

  /**
   * Installs packages with npm. Some fetch a program with a script of their own, which calls npm
   * again: so the folder is no flag, which that call would inherit.
   */
  async install(packages: readonly string[], folder = this.folder): Promise<void> {
    const flags = ["--no-audit", "--no-fund", "--ignore-scripts=false"];
    await this.succeed(["npm", "install", ...flags, ...packages], folder);
  }

  /** Runs a command in the folder. @returns what it printed. */
  async succeed(command: readonly string[], folder = this.folder): Promise<string> {
    const inFolder = ["sh", "-c", 'cd "$0" && exec "$@"', folder, ...command];
    const { stdout, stderr, code } = await ended(this.world.spawnCommand(inFolder));
    if (code === 0) return stdout;
    throw new Error(`${command.join(" ")} ended with ${code}:\n${stdout}${stderr}`);
  }

  /**
   * Runs the suite, with a setting that must change nothing about certificates. @returns how many
   * tests have passed.
   */
  async suite(runtime: Runtime, argv: readonly string[]): Promise<number> {
    const trusting = ["env", "NODE_TLS_REJECT_UNAUTHORIZED=0"];
    const printed = await this.succeed([...trusting, ...runtime, "client-suite.mjs", ...argv]);
    return Number(/^passed: (\d+)$/m.exec(printed)?.[1]);
  }
}
