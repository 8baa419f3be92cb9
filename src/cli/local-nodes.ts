/**
 * Local nodes: a node has a socket under its own name, where the commands of the same machine find
 * it without an address.
 *
 *     $RUNTIME_DIRECTORY/NAME.sock         in a service of systemd (systemd.exec(5))
 *     /run/ramster/NAME.sock               of root
 *     $XDG_RUNTIME_DIR/ramster/NAME.sock   of other users
 *
 * A name is percent-encoded as in a URL, since it may have any character. Commands look in the
 * folder of their own user, and in that of root.
 */
import { mkdirSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { PeerError, quoted, RamsterError } from "../core/errors.ts";
import type { Address, UnixAddress } from "../net/address.ts";
import * as addresses from "../net/address.ts";
import { isAnswered } from "../net/bun.ts";
import type { Transport } from "../net/transport.ts";
import { describeError } from "./exit.ts";
import { type Given, parseAddress, refuse } from "./units.ts";

/** A node of this machine: by its name, or the only one there is. */
export interface LocalNode {
  readonly kind: "local";
  /** Null: the only one. */
  readonly name: string | null;
}

/** Who runs the program, and where. */
export interface User {
  readonly id: number;
  readonly environment: Readonly<Record<string, string | undefined>>;
}

const ROOT_FOLDER = "/run/ramster";
const SUFFIX = ".sock";
/** Mode bits with which other users could put a socket there. A group that root chose may. */
const OTHERS_MODE = 0o022;
const OTHERS_MODE_OF_ROOT = 0o002;

function thisUser(): User {
  return { id: process.getuid?.() ?? 0, environment: process.env };
}

/** The folder for sockets of this user's nodes. Null: the user has none. */
export function socketFolder({ id, environment }: User): string | null {
  const [folder = ""] = (environment.RUNTIME_DIRECTORY ?? "").split(":");
  if (folder !== "") return folder;
  if (id === 0) return ROOT_FOLDER;
  const runtime = environment.XDG_RUNTIME_DIR ?? "";
  return runtime === "" ? null : join(runtime, "ramster");
}

/**
 * Where a node of that name listens for commands by default. Its folder is made. Empty when that is
 * not possible: `warn` is then told why, since commands need --client.
 */
export async function defaultClients(
  name: string,
  transport: Transport,
  warn: (line: string) => void,
  user = thisUser(),
): Promise<readonly Address[]> {
  const folder = socketFolder(user);
  if (folder === null) return [];
  try {
    const address = socketOf(folder, name);
    makeFolder(folder, user);
    (await transport.listen(address, () => null)).close();
    return [address];
  } catch (error) {
    const path = quoted(pathOf(folder, name));
    warn(`Cannot open the socket ${path}, so commands need --client: ${whyNot(error)}`);
    return [];
  }
}

/** Reads `--client`. A word without a colon is a name. Throws ConfigError BAD_CONFIG. */
export function parseNode(given: Given | null): Address | LocalNode {
  if (given === null) return { kind: "local", name: null };
  if (/^[^:/]+$/.test(given.text)) return { kind: "local", name: given.text };
  return parseAddress(given);
}

/**
 * The address of a node. Rejects with ADDRESS_UNREACHABLE when there is none of that name, and with
 * BAD_CONFIG when there are several to choose from.
 */
export async function addressOf(node: Address | LocalNode, user = thisUser()): Promise<Address> {
  return node.kind === "local" ? find(node.name, user) : node;
}

/** The addresses of all nodes of this machine, or of those with the name, running or not. */
export function localNodes(name: string | null, user = thisUser()): Address[] {
  const all = foldersFor(user).flatMap(socketsIn);
  return all.filter((it) => name === null || it.name === name).map(({ address }) => address);
}

async function find(name: string | null, user: User): Promise<Address> {
  const folders = foldersFor(user);
  for (const folder of folders) {
    const named = socketsIn(folder).filter((it) => name === null || it.name === name);
    const [first] = named;
    if (first === undefined) continue;
    if (named.length === 1) return first.address;
    const answers = await Promise.all(named.map(({ address }) => isAnswered(address.path)));
    const running = named.filter((_, i) => answers[i]);
    const [found = first, ...others] = running;
    if (others.length === 0) return found.address;
    const names = [found, ...others].map((it) => quoted(it.name)).join(", ");
    throw refuse(`Cannot choose a node: ${names} run here, name one as in --client ${found.name}`);
  }
  const others = folders.flatMap(socketsIn).map((it) => quoted(it.name));
  const where = folders.map((folder) => quoted(folder)).join(" and ");
  const there =
    others.length === 0
      ? `no socket is in ${where}; start one, or`
      : `there is ${others.join(", ")}; name that, or`;
  const who = name === null ? "a node" : `node ${quoted(name)}`;
  const what = `Cannot find ${who} on this machine: ${there}`;
  throw new PeerError("ADDRESS_UNREACHABLE", `${what} give an address with --client`);
}

function foldersFor(user: User): string[] {
  const own = socketFolder(user);
  return own === null || own === ROOT_FOLDER ? [ROOT_FOLDER] : [own, ROOT_FOLDER];
}

interface LocalSocket {
  readonly name: string;
  readonly address: UnixAddress;
}

function socketsIn(folder: string): LocalSocket[] {
  let files: string[];
  try {
    files = readdirSync(folder);
  } catch {
    return []; // There is none, or it is another user's.
  }
  return files.sort().flatMap((file) => {
    const name = file.endsWith(SUFFIX) ? decoded(file.slice(0, -SUFFIX.length)) : null;
    const isOne = name !== null && isSocket(join(folder, file));
    return isOne ? [{ name, address: socketOf(folder, name) }] : [];
  });
}

function isSocket(path: string): boolean {
  try {
    return statSync(path).isSocket();
  } catch {
    return false; // It is gone by now.
  }
}

function pathOf(folder: string, name: string): string {
  return join(folder, `${encodeURIComponent(name)}${SUFFIX}`);
}

/** Throws ConfigError BAD_CONFIG when the path is too long for a socket. */
function socketOf(folder: string, name: string): UnixAddress {
  return addresses.parseAddress(`unix:${pathOf(folder, name)}`) as UnixAddress;
}

/** @returns null for a file that no node has named. */
function decoded(text: string): string | null {
  try {
    const name = decodeURIComponent(text);
    return encodeURIComponent(name) === text ? name : null;
  } catch {
    return null;
  }
}

/** Throws when another user could answer there in place of a node. */
function makeFolder(folder: string, { id }: User): void {
  mkdirSync(folder, { recursive: true, mode: id === 0 ? 0o755 : 0o700 });
  const { uid, mode } = statSync(folder);
  const refused = uid === 0 ? OTHERS_MODE_OF_ROOT : OTHERS_MODE;
  const isSafe = (uid === id || uid === 0) && (mode & refused) === 0;
  if (!isSafe) throw refuse("other users can write to its directory");
}

function whyNot(error: unknown): string {
  const reason = describeError(error);
  return error instanceof RamsterError ? reason.replace(/^Cannot [^:"]*"[^"]*": /, "") : reason;
}
