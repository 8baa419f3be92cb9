/**
 * What a real node tells its service manager, at the socket of NOTIFY_SOCKET. Python listens there,
 * since the runtime has no datagram sockets of the unix family.
 */
import { expect, test } from "bun:test";
import { NodeProcess } from "./node-process.ts";
import { PROGRAM, ProcessWorld, until } from "./process-world.ts";
import { areToolsRequired, which } from "./tools.ts";

/** Prints each message as one line. */
const LISTENER = [
  "import socket, sys",
  "s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)",
  "s.bind(sys.argv[1].replace('@', chr(0), 1))",
  "print('listening', flush=True)",
  "while True: print(s.recv(4096).decode().replace(chr(10), ' '), flush=True)",
].join("\n");

const isMissing = which("python3") === null && !areToolsRequired;

test.skipIf(isMissing).each(["path", "abstract"])(
  "a node says that it is ready, reloads and stops, at a socket of the kind %s",
  async (kind) => {
    await using world = new ProcessWorld();
    const path = world.path("notify.sock");
    const address = kind === "path" ? path : `@${path}`;
    const listener = world.spawnCommand([which("python3") ?? "", "-c", LISTENER, address]);
    const lines: string[] = [];
    const reading = (async () => {
      let text = "";
      for await (const chunk of listener.stdout) {
        text += new TextDecoder().decode(chunk);
        const whole = text.split("\n");
        text = whole.pop() ?? "";
        lines.push(...whole);
      }
    })();
    await until("somebody listens", () => lines.includes("listening"));
    const flags = ["--number=1", "--gossip=none", "--listen=127.0.0.1:0", "--name=n1"];
    const own = [`NOTIFY_SOCKET=${address}`, "WATCHDOG_USEC=100000"];
    const node = new NodeProcess(1, ["env", ...own, ...PROGRAM, "server", ...flags], {
      verbose: false,
    });
    try {
      await node.ready();
      const has = (start: string, count = 1): boolean => {
        return lines.filter((line) => line.startsWith(start)).length >= count;
      };
      await until("it is ready", () => has("READY=1 STATUS=ready node=1 name=n1 listen="));
      await until("it is alive for a while", () => has("WATCHDOG=1", 3));
      node.child.kill("SIGHUP");
      await until("it reloads", () => has("RELOADING=1 MONOTONIC_USEC="));
      await until("it is ready again", () => has("READY=1", 2));
      expect(await node.stop()).toBe(0);
      await until("it stops", () => has("STOPPING=1 STATUS=moving"));
    } finally {
      await node.kill();
    }
    listener.kill("SIGKILL");
    await reading;
  },
);
