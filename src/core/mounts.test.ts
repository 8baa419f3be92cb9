import { expect, test } from "bun:test";
import { below, parseMounts } from "./mounts.ts";

const LINE =
  "36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 shared:2 - ext3 /dev/root rw,errors=continue";

test("a line of mountinfo, with optional fields and without", () => {
  const mount = {
    id: 36,
    device: "98:0",
    root: "/mnt1",
    point: "/mnt2",
    type: "ext3",
    source: "/dev/root",
    options: ["rw", "errors=continue"],
  };
  expect(parseMounts(`${LINE}\n`)).toEqual([mount]);
  expect(parseMounts(LINE.replace(" master:1 shared:2", ""))).toEqual([mount]);
});

test("parseMounts() reads spaces in octal, and an empty source", () => {
  const [mount] = parseMounts("1 0 0:9 /a\\040b /c\\134d\\011e rw - tmpfs  rw");
  expect(mount).toMatchObject({ root: "/a b", point: "/c\\d\te", type: "tmpfs", source: "" });
});

test.each([
  ["nothing", ""],
  ["no dash", LINE.replace(" - ", " ")],
  ["half a line", LINE.slice(0, 30)],
  ["nothing after the dash", `${LINE.slice(0, LINE.indexOf(" - "))} -`],
  ["a number that is none", LINE.replace("36", "x")],
  ["a root that is no path", LINE.replace("/mnt1", "mnt1")],
  ["bytes", "\u0000\ufffd - - -\n".repeat(100)],
])("a line with %s is left out, the next one is not", (_name, line) => {
  expect(parseMounts(`${line}\n${LINE}`).map(({ id }) => id)).toEqual([36]);
});

test.each([
  ["/", "/", ""],
  ["/", "/a/b", "/a/b"],
  ["/a", "/a", ""],
  ["/a", "/a/b", "/b"],
  ["/a", "/ab", null],
  ["/a/b", "/a", null],
  ["/a", "/", null],
])("below %p is %p as %p", (root, path, rest) => {
  expect(below(root, path)).toBe(rest);
});
