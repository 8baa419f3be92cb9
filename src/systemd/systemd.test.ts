import { describe, expect, test } from "bun:test";
import { NO_SERVICE_MANAGER } from "../core/service-manager.ts";
import { openNotifySocket, socketAddress } from "./notify-socket.ts";
import { openServiceManager, Systemd, watchdogMs } from "./systemd.ts";

test("messages are those of sd_notify(3)", () => {
  const sent: string[] = [];
  const socket = { send: (text: string) => void sent.push(text), monotonicUs: () => 7n };
  const manager = new Systemd(socket, null);
  manager.status("joining");
  manager.ready("serves");
  manager.reloading();
  manager.stopping("moving");
  manager.alive();
  expect(sent).toEqual([
    "STATUS=joining",
    "READY=1\nSTATUS=serves",
    "RELOADING=1\nMONOTONIC_USEC=7",
    "STOPPING=1\nSTATUS=moving",
    "WATCHDOG=1",
  ]);
});

describe("watchdogMs()", () => {
  test("is half of the time that the manager waits", () => {
    expect(watchdogMs({ WATCHDOG_USEC: "60000000" }, 7)).toBe(30_000);
    expect(watchdogMs({ WATCHDOG_USEC: "60000000", WATCHDOG_PID: "7" }, 7)).toBe(30_000);
    expect(watchdogMs({ WATCHDOG_USEC: "9000000000000" }, 7)).toBe(2_147_483_647);
  });

  test("is none for another process, without a time, and for what is none", () => {
    expect(watchdogMs({ WATCHDOG_USEC: "60000000", WATCHDOG_PID: "8" }, 7)).toBeNull();
    for (const text of [undefined, "", "0", "-1", "1s"]) {
      expect(watchdogMs({ WATCHDOG_USEC: text }, 7)).toBeNull();
    }
  });
});

describe("socketAddress()", () => {
  test("is a path that ends in zero, or an abstract name that begins with it", () => {
    expect(socketAddress("/run/x")?.toString("latin1")).toBe("\x01\0/run/x\0");
    expect(socketAddress("@x")?.toString("latin1")).toBe("\x01\0\0x");
  });

  test("is none for anything else, and for what is too long", () => {
    for (const text of ["", "run/x", "vsock:2:1234", `/${"x".repeat(107)}`]) {
      expect(socketAddress(text)).toBeNull();
    }
    expect(socketAddress(`/${"x".repeat(106)}`)).not.toBeNull();
  });
});

test("without a socket nobody is told", () => {
  expect(openServiceManager({}, 7)).toBe(NO_SERVICE_MANAGER);
});

test("a socket that nobody reads is no error, and time goes on", () => {
  const socket = openNotifySocket("/nowhere/notify");
  socket?.send("READY=1");
  const first = socket?.monotonicUs() ?? 0n;
  expect(first).toBeGreaterThan(0n);
  expect(socket?.monotonicUs() ?? 0n).toBeGreaterThanOrEqual(first);
});
