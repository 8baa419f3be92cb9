/** Without a kernel that has nbd: what is asked is refused in a phrase, and nothing stays open. */
import { expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { libcPath } from "../memory/libc-path.ts";
import { GenericNetlink } from "./generic-netlink.ts";
import { openLibc } from "./libc.ts";
import { openKernelNbd } from "./nbd-family.ts";

const path = libcPath();

test.skipIf(path === null)(
  "the controller of generic netlink knows itself, and nothing else",
  () => {
    const netlink = GenericNetlink.open(openLibc(path ?? ""));
    if (typeof netlink === "number") throw new Error(`no netlink socket: ${netlink}`);
    expect(netlink.family("nlctrl")).toBe(16);
    expect(netlink.family("ramster")).toBeNull();
    netlink.close();
  },
);

test.skipIf(path === null)(
  "a request that the kernel refuses is a phrase, and leaves no socket",
  () => {
    const kernel = openKernelNbd();
    // A device that no kernel has.
    const request = {
      index: 1_000_000,
      byteCount: 0,
      blockBytes: 4096,
      flags: 0,
      backend: "ramster:test:none",
      requestSeconds: 0,
      deadSeconds: 0,
    };
    const before = readdirSync("/proc/self/fd").length;
    expect(kernel?.attach(request)).toBeString();
    expect(kernel?.attachAgain({ index: 1_000_000, backend: "ramster:test:none" })).toBeNull();
    expect(kernel?.detach(1_000_000)).toBeString();
    expect(kernel?.devices().filter(({ backend }) => backend.includes("test"))).toEqual([]);
    expect(readdirSync("/proc/self/fd").length).toBe(before);
  },
);
