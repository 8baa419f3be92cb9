import { expect, test } from "bun:test";
import { checkTagsFit, fittingTags, type NodeTags, pageAddress, readTags, tagsOf } from "./tags.ts";

const SERVER: NodeTags = {
  role: "server",
  cluster: "ramster",
  protocol: 1,
  bootId: 0x1234abcdn,
  number: 3,
  claim: null,
  page: { host: null, port: 7777 },
  lendFrames: 131_072,
  freeFrames: 90_112,
  grantedFrames: 40_960,
  foreignPages: 0,
  ownFrames: 0,
  pressure: 12,
  isDrained: false,
  codecs: 3,
  zone: "rack7",
  target: "auto",
};

const read = (tags: Record<string, string>) => readTags(new Map(Object.entries(tags)));

test("tags are read back as they were written, whatever is left out", () => {
  const claiming = { ...SERVER, number: null, claim: 7, page: null };
  const elsewhere = { ...SERVER, page: { host: "fe80::1", port: 1 } };
  for (const node of [SERVER, claiming, elsewhere]) expect(read(tagsOf(node))).toEqual(node);
});

test("only a drained node has the tag", () => {
  const drained = { ...SERVER, isDrained: true };
  expect([tagsOf(drained).drained, tagsOf(SERVER).drained]).toEqual(["1", undefined]);
  expect(read(tagsOf(drained))).toEqual(drained);
});

test("all tags of a node fit the 512 bytes of a member's metadata, at their longest", () => {
  const longest: NodeTags = {
    ...SERVER,
    cluster: "c".repeat(64),
    protocol: 255,
    bootId: 2n ** 64n - 1n,
    number: 1022,
    claim: 1022,
    page: { host: "fe80:ffff:ffff:ffff:ffff:ffff:ffff:ffff", port: 65_535 },
    lendFrames: 2 ** 32 - 1,
    freeFrames: 2 ** 32 - 1,
    grantedFrames: 2 ** 32 - 1,
    foreignPages: 0,
    ownFrames: 0,
    pressure: 100,
    isDrained: true,
    codecs: 2 ** 32 - 1,
    target: "1022",
    zone: "z".repeat(32),
  };
  const tags = tagsOf(longest);
  expect(read(tags)).toEqual(longest);
  // Serf: one byte, a map in at most three, texts of up to 31 bytes in one more or three.
  const bytes = Object.entries(tags)
    .flat()
    .reduce((sum, text) => sum + 3 + text.length, 4);
  expect(bytes).toBeLessThanOrEqual(512);
});

test("a member of another program is not a node, and one with invalid tags is not used", () => {
  expect(read({})).toBe("no ramster node");
  expect(read({ role: "web", dc: "east" })).toBe("no ramster node");
  const tags = tagsOf(SERVER);
  expect(read({ ...tags, page_bytes: "16384" })).toBe("pages of 16384 bytes");
  for (const wrong of [
    { number: "1023" },
    { number: "-1" },
    { claim: "x" },
    { page_port: "0" },
    { page_port: "65536" },
    { page_host: "no host" },
    { free_frames: "4294967296" },
    { own_frames: "x" },
    { pressure: "101" },
    { protocol: "" },
  ]) {
    expect(read({ ...tags, ...wrong })).toBe("tags out of range");
  }
});

test("page links go to the member's own host unless it names another", () => {
  const address = (node: NodeTags) => pageAddress(node, "10.0.0.1");
  expect(address(SERVER)).toEqual({ kind: "tcp", host: "10.0.0.1", port: 7777 });
  const other = { ...SERVER, page: { host: "10.9.9.9", port: 5 } };
  expect(address(other)).toEqual({ kind: "tcp", host: "10.9.9.9", port: 5 });
  expect(address({ ...SERVER, page: null })).toBeNull();
});

test("tags that are too long lose the dispensable ones first, and stay valid", () => {
  const hosted = (length: number) => ({ ...SERVER, page: { host: "h".repeat(length), port: 1 } });
  expect(fittingTags(hosted(10))?.leftOut).toEqual([]);
  const seen = new Set<string>();
  for (let length = 200; length <= 450; length += 1) {
    const fitting = fittingTags(hosted(length));
    seen.add(fitting?.leftOut.join() ?? "none");
    if (fitting === null || length > 253) continue;
    const node = read(fitting.tags);
    expect(node).toMatchObject({ page: hosted(length).page, freeFrames: SERVER.freeFrames });
  }
  const orders = [
    "",
    "granted_frames",
    "granted_frames,foreign_pages",
    "granted_frames,foreign_pages,own_frames",
    "granted_frames,foreign_pages,own_frames,pressure",
    "granted_frames,foreign_pages,own_frames,pressure,target",
  ];
  expect([...seen]).toEqual([...orders, "none"]);
});

test("a node whose tags might not fit later is refused before it has pages", () => {
  const names = { cluster: "c".repeat(64), zone: "z".repeat(32) };
  checkTagsFit(names, "fe80:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
  expect(() => checkTagsFit(names, "h".repeat(253))).toThrow("shorter --cluster");
});
