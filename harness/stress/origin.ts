/**
 * Origin: finds the process behind a TCP connection on this machine, through /proc. A stream from a
 * node to the relay comes from any port, and its content may be encrypted.
 *
 *     /proc/net/tcp   sl local_address rem_address st tx:rx tr:tm retrnsmt uid timeout INODE ...
 *     /proc/PID/fd/N  -> socket:[INODE]
 */
import { readdirSync, readFileSync, readlinkSync } from "node:fs";

const LOCAL_COLUMN = 1;
const REMOTE_COLUMN = 2;
const INODE_COLUMN = 9;

/**
 * The node whose process has a socket connected from `port` to `remotePort`, both IPv4 on this
 * machine. Null when no process has one any more. `pids`: process ids by node.
 */
export function originOf(
  pids: ReadonlyMap<number, number>,
  port: number,
  remotePort: number,
): number | null {
  const inode = inodeOf(readFileSync("/proc/net/tcp", "latin1"), port, remotePort);
  if (inode === null) return null;
  for (const [node, pid] of pids) if (hasSocket(pid, `socket:[${inode}]`)) return node;
  return null;
}

function inodeOf(table: string, port: number, remotePort: number): string | null {
  for (const line of table.split("\n").slice(1)) {
    const columns = line.trim().split(/\s+/);
    if (portOf(columns[LOCAL_COLUMN]) !== port) continue;
    if (portOf(columns[REMOTE_COLUMN]) === remotePort) return columns[INODE_COLUMN] ?? null;
  }
  return null;
}

/** The port in `0100007F:1F90`, which is 8080. */
function portOf(address: string | undefined): number | null {
  return address === undefined ? null : Number.parseInt(address.split(":")[1] ?? "", 16);
}

function hasSocket(pid: number, name: string): boolean {
  try {
    return readdirSync(`/proc/${pid}/fd`).some((fd) => linkOf(`/proc/${pid}/fd/${fd}`) === name);
  } catch {
    return false; // The process has ended.
  }
}

function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return ""; // Closed in the meantime.
  }
}
