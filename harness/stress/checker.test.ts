import { expect, test } from "bun:test";
import { Checker, noVerdicts } from "./checker.ts";
import { PageSource } from "./page-source.ts";

const source = new PageSource({ kind: "mixed" }, 1);

function setUp(persistent: boolean) {
  const verdicts = noVerdicts();
  const options = { node: 1, pool: 2, persistent, keyCount: 8 };
  const checker = new Checker({ source, verdicts }, options);
  const put = (key: number, stored = true): Uint8Array => {
    const { page, generation } = checker.nextPage(key);
    checker.putDone(key, generation, stored);
    return page;
  };
  return { checker, verdicts, put };
}

const GOOD = { wrong: 0, lost: 0, unreachable: 0, examples: [] };

test("the page of the last put is right in every get", () => {
  const { checker, verdicts, put } = setUp(true);
  put(3);
  const page = put(3);
  checker.check(3, page, false);
  checker.check(3, page, true);
  checker.check(3, null, false);
  expect(verdicts).toEqual(GOOD);
  expect(checker.has(3)).toBe(false);
});

test("one bit that differs is wrong", () => {
  const { checker, verdicts, put } = setUp(true);
  const page = put(3);
  page[4095] = (page[4095] ?? 0) ^ 1;
  checker.check(3, page, false);
  expect(verdicts).toMatchObject({ wrong: 1, lost: 0 });
  expect(verdicts.examples[0]).toStartWith("page 1/2/3 holds ");
});

test("a stale page is wrong, and so is the page of another key", () => {
  const { checker, verdicts, put } = setUp(true);
  const stale = put(3);
  put(3);
  checker.check(3, stale, false);
  checker.check(3, put(4), false);
  expect(verdicts).toMatchObject({ wrong: 2, lost: 0 });
});

test("a page that was flushed, removed or refused must not come back", () => {
  const { checker, verdicts, put } = setUp(true);
  const flushed = put(1);
  checker.flushed(1);
  checker.check(1, flushed, false);
  const removed = put(2);
  checker.check(2, removed, true);
  checker.check(2, removed, false);
  const before = put(3);
  put(3, false);
  checker.check(3, before, false);
  expect(verdicts).toMatchObject({ wrong: 3, lost: 0 });
});

test("a persistent page that is missing, or that the node reports lost, is lost; once", () => {
  const { checker, verdicts, put } = setUp(true);
  put(3);
  checker.check(3, null, false);
  checker.check(3, null, false);
  put(4);
  checker.check(4, "lost", false);
  expect(verdicts).toMatchObject({ wrong: 0, lost: 2, unreachable: 0 });
});

test("a page out of reach is neither wrong nor lost, and still expected", () => {
  const { checker, verdicts, put } = setUp(true);
  const page = put(3);
  checker.check(3, "unreachable", false);
  checker.check(3, page, false);
  expect(verdicts).toMatchObject({ wrong: 0, lost: 0, unreachable: 1 });
});

test("an ephemeral page may be missing, but must not return after that", () => {
  const { checker, verdicts, put } = setUp(false);
  const page = put(3);
  checker.check(3, null, true);
  expect(verdicts).toEqual(GOOD);
  checker.check(3, page, true);
  expect(verdicts.wrong).toBe(1);
});

test("a few examples are kept, and all failures are counted", () => {
  const { checker, verdicts, put } = setUp(true);
  for (let i = 0; i < 20; i += 1) {
    put(3);
    checker.check(3, null, false);
  }
  expect(verdicts.lost).toBe(20);
  expect(verdicts.examples.length).toBe(5);
});
