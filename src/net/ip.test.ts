import { expect, test } from "bun:test";
import { ipBytes, ipText, isLinkLocal, isWildcard, withoutZone, withZoneOf } from "./ip.ts";

test.each([
  ["127.0.0.1", 4],
  ["255.255.255.255", 4],
  ["::", 16],
  ["::1", 16],
  ["fe80::1:0:0:2", 16],
  ["2001:db8::", 16],
  ["1:2:3:4:5:6:7:8", 16],
  ["1:0:2::3", 16],
])("%s is %i bytes, and the same text again", (text, byteCount) => {
  const bytes = ipBytes(text);
  expect(bytes?.byteLength).toBe(byteCount);
  expect(ipText(bytes ?? new Uint8Array(4))).toBe(text);
});

test("text that is not an IP address gives null", () => {
  for (const text of ["", "localhost", "1.2.3", "1.2.3.256", "1::2::3", "1:2", "12345::", "g::"]) {
    expect(ipBytes(text)).toBeNull();
  }
});

test("an IPv4-mapped IPv6 address is written as IPv4", () => {
  const mapped = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, 1);
  expect(ipText(mapped)).toBe("10.0.0.1");
  expect(ipBytes("::ffff:10.0.0.1")).toEqual(mapped);
  expect(ipBytes("::FFFF:a00:1%eth0")).toEqual(mapped);
  for (const text of ["::10.0.0", "::10.0.0.256", "10.0.0.1:1", "1:2:3:4:5:6:7:10.0.0.1"]) {
    expect(ipBytes(text)).toBeNull();
  }
});

test("only the unspecified addresses are wildcards", () => {
  for (const text of ["0.0.0.0", "::", "0:0:0:0:0:0:0:0"]) expect(isWildcard(text)).toBe(true);
  for (const text of ["0.0.0.1", "::1", "localhost"]) expect(isWildcard(text)).toBe(false);
});

test("only a link-local address gets a zone, the one of the machine that uses it", () => {
  expect(withZoneOf("fe80::2", "fe80::1%eth0")).toBe("fe80::2%eth0");
  expect(withZoneOf("FEBF::2", "fe80::1%eth0")).toBe("FEBF::2%eth0");
  expect(withZoneOf("fe80::2%eth1", "fe80::1%eth0")).toBe("fe80::2%eth1");
  expect(withZoneOf("fe80::2", "10.0.0.1")).toBe("fe80::2");
  for (const other of ["10.0.0.2", "2001:db8::1", "fec0::1"]) {
    expect(isLinkLocal(other)).toBe(false);
    expect(withZoneOf(other, "fe80::1%eth0")).toBe(other);
  }
  expect(withoutZone("fe80::2%eth0")).toBe("fe80::2");
});
