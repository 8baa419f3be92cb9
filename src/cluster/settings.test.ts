import { expect, test } from "bun:test";
import { LAN, pushPullMs, retransmitLimit, suspicionMinMs } from "./settings.ts";

const SETTINGS = {
  ...LAN,
  bind: { kind: "tcp", host: "127.0.0.1", port: 0 },
  advertise: null,
  label: "",
} as const;

test("the shortest suspicion time is memberlist's suspicionTimeout", () => {
  const table = [1, 8, 10, 100, 1000].map((n) => suspicionMinMs(SETTINGS, n));
  expect(table).toEqual([2000, 2000, 2000, 4000, 6000]);
});

test("news is sent as often as memberlist's retransmitLimit", () => {
  const table = [1, 9, 10, 99, 1024].map((n) => retransmitLimit(SETTINGS, n));
  expect(table).toEqual([4, 4, 8, 8, 16]);
});

test("the interval of push/pulls grows with the number of members", () => {
  const table = [1, 10, 20, 1000].map((n) => pushPullMs(SETTINGS, n) / 30_000);
  expect(table).toEqual([1, 1, 2, 100]);
});
