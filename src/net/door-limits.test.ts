import { expect, test } from "bun:test";
import { DESCRIPTORS_RESERVED } from "../core/admission-limits.ts";
import { DOOR_LIMITS, doorLimits } from "./door-limits.ts";

test.each([64, 128, 256, 1024, 4096])(
  "with %d descriptors some are left to the node",
  (descriptors) => {
    const { handshakes, clients, gossipStreams, nbdHandshakes, nbdConnections } =
      doorLimits(descriptors);
    const waiting = 2 * (2 * handshakes + gossipStreams + nbdHandshakes);
    const most = waiting + clients + nbdConnections;
    expect(
      Math.min(handshakes, clients, gossipStreams, nbdHandshakes, nbdConnections),
    ).toBeGreaterThan(0);
    expect(most).toBeLessThanOrEqual(Math.max(descriptors - DESCRIPTORS_RESERVED, 16));
  },
);

test("with many descriptors each door accepts as many connections as it may", () => {
  expect(doorLimits(20_000)).toEqual(DOOR_LIMITS);
});
